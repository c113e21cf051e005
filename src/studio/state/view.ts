// Which of the page's views is open. It stands in the address, `?benchmark`, so that it can be linked to and the
// browser's own way back leads back; the recipe's part of the address stays as it is.
import { useEffect, useState } from "react";

export type View = "studio" | "benchmark" | "runs";

const current = (): View => {
  const search = new URLSearchParams(location.search);
  return search.has("benchmark") ? "benchmark" : search.has("runs") ? "runs" : "studio";
};

/** The open view, and how to turn to another. */
export function useView(): [View, (view: View) => void] {
  const [view, setView] = useState(current);
  useEffect(() => {
    const follow = () => setView(current());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const turnTo = (next: View) => {
    if (next === current()) return;
    const search = next === "studio" ? "" : `?${next}`;
    history.pushState(null, "", location.pathname + search + location.hash);
    setView(next);
  };
  return [view, turnTo];
}
