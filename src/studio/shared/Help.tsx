// A question mark beside a term, with the term's one line: on hover, on focus, on touch.
import { Tooltip, UnstyledButton } from "@mantine/core";

export function Help({ term, text }: { term: string; text: string }) {
  return (
    <Tooltip label={text} events={{ hover: true, focus: true, touch: true }}>
      <UnstyledButton className="help" aria-label={`About ${term}`} aria-description={text}>
        ?
      </UnstyledButton>
    </Tooltip>
  );
}
