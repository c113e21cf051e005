// How image sets were read, in the words of those who read them; for the studio and the terminal.
export { doubtWords, layoutWords } from "../dataset/layout_words.ts";
