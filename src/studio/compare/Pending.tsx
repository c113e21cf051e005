// A number that is on its way.

export function Pending() {
  return (
    <span className="dim" role="img" aria-label="being measured">
      …
    </span>
  );
}
