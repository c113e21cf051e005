// The names that pickles use, by what they would do in Python. Nothing is called here, whatever its name; the lists say
// which tensors' numbers are of what kind, what is known to be harmless beside weights, and what a person must be warned
// of.

/** Classes of storages, and the dtype of the numbers in them as safetensors spells it where it has one. */
export const storages: ReadonlyMap<string, string> = new Map(
  [
    ["FloatStorage", "F32"],
    ["HalfStorage", "F16"],
    ["BFloat16Storage", "BF16"],
    ["DoubleStorage", "F64"],
    ["LongStorage", "I64"],
    ["IntStorage", "I32"],
    ["ShortStorage", "I16"],
    ["CharStorage", "I8"],
    ["ByteStorage", "U8"],
    ["BoolStorage", "BOOL"],
    ["ComplexFloatStorage", "C64"],
    ["ComplexDoubleStorage", "C128"],
    ["QInt8Storage", "QI8"],
    ["QUInt8Storage", "QU8"],
    ["QInt32Storage", "QI32"],
    ["QUInt4x2Storage", "QU4"],
    ["QUInt2x4Storage", "QU2"],
    ["UntypedStorage", "U8"],
    ["storage.UntypedStorage", "U8"],
    ["storage._UntypedStorage", "U8"],
  ].map(([name, dtype]) => [`torch.${name}`, dtype as string]),
);

/** Dtypes, where a tensor says its own. */
export const tensorDtypes: ReadonlyMap<string, string> = new Map(
  [
    ["float64", "F64"],
    ["float32", "F32"],
    ["float16", "F16"],
    ["bfloat16", "BF16"],
    ["uint8", "U8"],
    ["uint16", "U16"],
    ["uint32", "U32"],
    ["uint64", "U64"],
    ["int8", "I8"],
    ["int16", "I16"],
    ["int32", "I32"],
    ["int64", "I64"],
    ["bool", "BOOL"],
    ["float8_e4m3fn", "F8_E4M3"],
    ["float8_e5m2", "F8_E5M2"],
    ["float8_e8m0fnu", "F8_E8M0"],
    ["float4_e2m1fn_x2", "F4"],
  ].map(([name, dtype]) => [`torch.${name}`, dtype as string]),
);

/** Modules whose functions and classes reach the machine, the network or other code; each with what is inside it. */
const dangerousModules =
  /^(os|posix|nt|_posixsubprocess|subprocess|popen2|commands|sys|shutil|socket|_socket|ssl|asyncio|multiprocessing|concurrent|threading|_thread|ctypes|_ctypes|cffi|importlib|imp|_imp|zipimport|runpy|pkgutil|pydoc|pty|tty|signal|code|codeop|pdb|bdb|cProfile|profile|timeit|trace|doctest|inspect|gc|marshal|pickle|_pickle|cPickle|dill|cloudpickle|joblib|shelve|operator|_operator|_?io\.(open\w*|FileIO)|tempfile|glob|fileinput|linecache|webbrowser|urllib|urllib2|http|httplib|ftplib|smtplib|telnetlib|xmlrpc|requests|aiohttp|httpx|pip|setuptools|distutils|ensurepip|venv|site|platform|antigravity|idlelib|tkinter|sqlite3|logging\.config|types\.(Function|Code)Type|functools\.reduce|torch\.(hub|jit\.(load|_script|unsupported_tensor_ops)|load|serialization\.(load|_load)|storage\._load_from_bytes|package|utils\.(cpp_extension|collect_env|model_zoo))|numpy\.(load|loads|fromfile|memmap|f2py|distutils|testing)|pandas\.(read_|eval)\w*)(\.|$)/;

/** Built-in functions that run code, open files or reach what is not theirs. */
const dangerousBuiltins =
  /^(__builtin__|builtins)\.(eval|exec|execfile|compile|open|file|input|raw_input|getattr|setattr|delattr|hasattr|vars|dir|globals|locals|apply|map|filter|reduce|__import__|breakpoint|memoryview|super|classmethod|staticmethod|property|exit|quit|help|__build_class__)(\.|$)/;

/** Whether what stands under a name would run code if Python loaded the file, or hand on what could. */
export function runsCode(name: string): boolean {
  // An attribute between double underscores leads from anything to everything.
  const reaches = /\.__\w+__\./.test(name);
  return dangerousModules.test(name) || dangerousBuiltins.test(name) || reaches;
}

/** Functions, and classes in small letters, that training scripts leave beside weights and that only make a value. */
const inert: readonly RegExp[] = [
  /^(__builtin__|builtins)\.(set|frozenset|bytes|bytearray|complex|slice|range|xrange|list|dict|tuple|int|long|float|str|unicode|bool|object|type|Ellipsis|NotImplemented)$/,
  /^_?codecs\.encode$/,
  /^(collections\.deque|collections\.abc\.\w+|itertools\.(count|cycle|repeat)|functools\.partial|re\._compile|array\.array|array\._array_reconstructor)$/,
  /^(datetime|_?decimal|fractions|uuid|pathlib|pathlib\._local|zoneinfo|random|_random|ipaddress)\.\w+$/,
  /^(datetime\.\w+\.\w+|zoneinfo\.ZoneInfo\._unpickle|types\.SimpleNamespace)$/,
  /^torch\.(device|dtype|Generator|random\.\w+|serialization\._get_layout|layout|memory_format|finfo|iinfo)$/,
  /^torch\.(float|bfloat|int|uint|complex|bool|q?u?int)[\w.]*$/,
  /^numpy\.(dtype|ndarray|bool_?|u?int\w*|float\w*|complex\w*|str_|bytes_|datetime64|timedelta64|matrix|recarray)$/,
  /^numpy\.(_?core|ma\.core)\.\w+\.(_reconstruct|scalar|_frombuffer|_mareconstruct|\w*_ufunc_reconstruct)$/,
  /^numpy\.random\._?\w+\.(__\w+_ctor|__pyx_unpickle_\w+)$/,
];

/** Whether a call only makes a value that no weights are made of. */
export function isInert(name: string): boolean {
  return inert.some((pattern) => pattern.test(name));
}
