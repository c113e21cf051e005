// A helper thread: gets the compiled kernels and the memory they work on, then serves jobs for good. The same file for
// Node and for a browser, in plain JavaScript, because a worker of Node's loads nothing else.

function serve({ module, memory, control, thread }) {
  new WebAssembly.Instance(module, { env: { memory } }).exports.serve(control, thread);
}

if (typeof process !== "undefined" && process.versions?.node) {
  // not a literal, so that a bundler for browsers leaves it alone
  const threads = "node:worker_threads";
  const { workerData } = await import(/* @vite-ignore */ threads);
  serve(workerData);
} else {
  self.onmessage = ({ data }) => serve(data);
}
