// Light, dark, or as the system has it.
import { ActionIcon, type MantineColorScheme, Tooltip, useMantineColorScheme } from "@mantine/core";
import { Icon } from "../shared/Icon.tsx";

const order: MantineColorScheme[] = ["auto", "light", "dark"];
const looks = {
  auto: { icon: "halves", words: "as the system has it" },
  light: { icon: "sun", words: "light" },
  dark: { icon: "moon", words: "dark" },
} as const;

export function ThemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = order[(order.indexOf(colorScheme) + 1) % order.length] ?? "auto";
  const words = `Colours: ${looks[colorScheme].words}. Change to ${looks[next].words}`;
  return (
    <Tooltip label={words}>
      <ActionIcon variant="default" size={30} aria-label={words} onClick={() => setColorScheme(next)}>
        <Icon name={looks[colorScheme].icon} />
      </ActionIcon>
    </Tooltip>
  );
}
