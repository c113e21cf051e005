// A helper thread: gets the compiled kernels and the memory they work on, then serves jobs for good. The same file for
// Node and for a browser, in plain JavaScript, because a worker of Node's loads nothing else.

function join({ module, memory, control, thread }) {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return () => exports.serve(control, thread);
}

if (typeof process !== "undefined" && process.versions?.node) {
  // not a literal, so that a bundler for browsers leaves it alone
  const threads = "node:worker_threads";
  const { workerData } = await import(/* @vite-ignore */ threads);
  join(workerData)();
} else {
  self.onmessage = ({ data }) => {
    const serve = join(data);
    self.postMessage("up");
    serve();
  };
}
