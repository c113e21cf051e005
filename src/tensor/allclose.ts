// A vitest matcher for arrays of floating-point numbers: |actual - expected| <= atol + rtol·|expected|, element by
// element, with the worst offender in the message. NaN never matches.
import { expect } from "vitest";

export interface Tolerance {
  atol: number;
  rtol?: number;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: the parameter has to repeat vitest's own declaration
  interface Matchers<T = any> {
    toBeAllClose(expected: ArrayLike<number>, tolerance: Tolerance): T;
  }
}

expect.extend({
  toBeAllClose(actual: ArrayLike<number>, expected: ArrayLike<number>, { atol, rtol = 0 }: Tolerance) {
    if (actual.length !== expected.length) {
      return { pass: false, message: () => `lengths differ: ${actual.length}, expected ${expected.length}` };
    }
    let worst = -1;
    let excess = 0;
    let outside = 0;
    for (let i = 0; i < actual.length; i++) {
      const over = Math.abs(actual[i]! - expected[i]!) - (atol + rtol * Math.abs(expected[i]!));
      if (over <= 0) continue;
      outside++;
      if (worst < 0 || !(over <= excess)) {
        worst = i;
        excess = over;
      }
    }
    return {
      pass: outside === 0,
      message: () =>
        outside === 0
          ? `all ${actual.length} values are within atol ${atol}, rtol ${rtol}`
          : `${outside} of ${actual.length} values are outside atol ${atol}, rtol ${rtol}; ` +
            `worst at ${worst}: ${actual[worst]}, expected ${expected[worst]}`,
    };
  },
});
