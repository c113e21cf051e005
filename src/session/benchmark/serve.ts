// The two ends of a border between the bench and a host: `serve` stands in the worker or process that does the work,
// `reach` on the bench's side. How messages travel is the caller's: postMessage, process messages, lines of text.
import { Failure } from "../../failure.ts";
import type { Host, HostAnswer, HostRequest, Library, Opened, Task, Timed } from "./protocol.ts";

/** Answers requests with a library's work, timing every step where it is done. */
export function serve(library: Library): (request: HostRequest) => Promise<HostAnswer> {
  const steps = new Map<number, Awaited<ReturnType<Library["open"]>>>();
  let last = 0;
  const only = <T>(work: (() => Promise<T>) | undefined): Promise<T> => {
    if (!work) throw new Error("only our own engine can be looked into");
    return work();
  };
  async function answer(request: HostRequest): Promise<unknown> {
    if (request.call === "open") {
      const opened = await library.open(request.task);
      steps.set(++last, opened);
      return { handle: last, adapter: opened.adapter };
    }
    const step = steps.get(request.handle);
    if (!step) throw new Error("this step is closed");
    switch (request.call) {
      case "step":
        return timed(() => step.step());
      case "inspect":
        return only(step.inspect);
      case "peak":
        return only(step.peak);
      case "close":
        steps.delete(request.handle);
        return step.close();
      default:
        return request satisfies never;
    }
  }
  return async (request) => {
    try {
      return { id: request.id, value: await answer(request) };
    } catch (error) {
      return { id: request.id, error: error instanceof Error ? error.message : String(error) };
    }
  };
}

async function timed(step: () => Promise<number>): Promise<Timed> {
  const cpu = () => (typeof process !== "undefined" && process.cpuUsage ? process.cpuUsage() : null);
  const [from, used] = [performance.now(), cpu()];
  const loss = await step();
  const now = cpu();
  return {
    milliseconds: performance.now() - from,
    cpuMilliseconds: used && now ? (now.user + now.system - used.user - used.system) / 1000 : null,
    loss,
  };
}

/** A way to a host: `send` a request; the caller hands answers to `receive`, and the end of the host to `fail`. */
export function reach(
  name: string,
  send: (request: HostRequest) => void,
  end: () => void,
): { host: Host; receive: (answer: HostAnswer) => void; fail: (why: string) => void } {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (reason: Failure) => void }>();
  let last = 0;
  let ended: string | null = null;
  const remedy =
    name === "ours"
      ? "Try it with a smaller batch, or on another device."
      : "The others are measured without it.";
  const refusal = (why: string) =>
    new Failure({ code: "state", what: why, where: name === "ours" ? "Selora" : name, remedy });
  const ask = <T>(request: HostRequest extends infer R ? (R extends R ? Omit<R, "id"> : never) : never) =>
    new Promise<T>((resolve, reject) => {
      if (ended !== null) return reject(refusal(ended));
      waiting.set(++last, { resolve, reject });
      send({ id: last, ...request } as HostRequest);
    });
  const fail = (why: string) => {
    ended ??= why;
    for (const { reject } of waiting.values()) reject(refusal(ended));
    waiting.clear();
  };
  return {
    host: {
      async open(task: Task): Promise<Opened> {
        const { handle, adapter } = await ask<{ handle: number; adapter: string }>({ call: "open", task });
        return {
          adapter,
          step: () => ask({ call: "step", handle }),
          inspect: () => ask({ call: "inspect", handle }),
          peak: () => ask({ call: "peak", handle }),
          close: () => ask({ call: "close", handle }),
        };
      },
      end() {
        fail("It was ended.");
        end();
      },
    },
    receive(answer) {
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ("error" in answer) call?.reject(refusal(answer.error));
      else call?.resolve(answer.value as never);
    },
    fail,
  };
}
