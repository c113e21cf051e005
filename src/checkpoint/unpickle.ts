// Python's pickle, as far as torch.save needs it: tensors and plain containers are built, everything else becomes a
// stand-in that does nothing. A pickle is a program for a small stack machine that may name any Python function; here
// nothing is ever called. What would run code in Python is refused by its name all the same (pickle_names.ts), because
// the person should know.

import { Failure } from "../failure.ts";
import { dtypeBytes } from "./dtypes.ts";
import { quoted } from "./json.ts";
import { isInert, runsCode, storages, tensorDtypes } from "./pickle_names.ts";

/** A run of numbers of one dtype that lies elsewhere in the archive, under `key`. */
export class PickledStorage {
  constructor(
    readonly dtype: string,
    readonly key: string,
    /** Numbers in it. */
    readonly count: number,
  ) {}
}

/** A view of a storage. Offset and strides count numbers, not bytes; nothing of them is checked against the storage.
 *  A tensor that is stored in another way (sparse, on no device) says so in its dtype and has a storage of nothing. */
export class PickledTensor {
  constructor(
    readonly storage: PickledStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

/** An object whose class is not known and never made: its attributes, and its items where it is some kind of dict or
 *  list (argparse.Namespace, a TorchScript module, a whole nn.Module). */
export class PickledRecord {
  readonly attributes: PickledMap = new Map();
  readonly items: PickledMap = new Map();
  constructor(readonly className: string) {}
}

/** A tuple; a list is an array, a dict a Map in the order of the file. */
export class PickledTuple {
  constructor(readonly items: readonly PickledValue[]) {}
}

/** A value that no weights are made of, in place of whatever Python would have made: bytes, a set, an array of numpy. */
export class PickledOther {
  constructor(readonly kind: string) {}
}

/** A class or function that is named, and no more than named. */
export class PickledGlobal {
  constructor(readonly name: string) {}
}

export type PickledMap = Map<PickledValue, PickledValue>;

export type PickledValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickledValue[]
  | PickledMap
  | PickledTuple
  | PickledTensor
  | PickledStorage
  | PickledRecord
  | PickledOther
  | PickledGlobal;

/** A pickle of 25,000 tensors is below these. */
const MAX_BYTES = 32_000_000;
const MAX_OPCODES = 1_000_000;
const MAX_STACK = 200_000;
const MAX_MARKS = 1000;
const MAX_NAME = 500;
/** Bytes of a whole number that is read; a longer one is no size and no key of weights. */
const MAX_LONG = 16;
const MAX_RANK = 8;

const WEIGHTS_ONLY =
  "If you made the file, save only the weights: torch.save(model.state_dict(), ...) or safetensors.";
const AGAIN = "Download or save the file again.";

/**
 * Reads one pickle of protocol 0 to 5. Tensors stay references to storages. Time and memory are bounded by the length
 * of `bytes`, which is bounded itself; nothing is ever executed.
 * @param where names the file in a Failure (`bad-file`): a name that would run code, a pickle that is damaged, or one
 *   out of bounds
 */
export function unpickle(bytes: Uint8Array, where: string): PickledValue {
  return unpickleFrom(bytes, where).value;
}

/** As `unpickle`, with the storages that were named, by key, and where the pickle ended: several may follow one another. */
export function unpickleFrom(
  bytes: Uint8Array,
  where: string,
): { value: PickledValue; storages: ReadonlyMap<string, PickledStorage>; end: number } {
  const machine = new Machine(bytes, where);
  if (bytes.length > MAX_BYTES) {
    throw machine.refuse(
      `The pickle inside has ${bytes.length} bytes; at most ${MAX_BYTES} are read, and tensors are not among them.`,
    );
  }
  for (let count = 0; count < MAX_OPCODES; count++) {
    const opcode = machine.byte();
    if (opcode === STOP) return { value: machine.pop(), storages: machine.storages, end: machine.at };
    const instruction = byOpcode[opcode];
    if (!instruction) {
      const name = refused.get(opcode) ?? `the unknown instruction ${opcode}`;
      throw machine.refuse(`The pickle inside uses ${name}, which weights saved by torch.save never need.`);
    }
    instruction(machine);
  }
  throw machine.refuse(`The pickle inside has more than ${MAX_OPCODES} instructions.`);
}

/** What of the machine's memory and tape the instructions use. */
class Machine {
  at = 0;
  readonly storages = new Map<string, PickledStorage>();
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;
  readonly #stack: PickledValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickledValue>();

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  refuse(what: string, remedy = WEIGHTS_ONLY): Failure {
    return new Failure({ code: "bad-file", what, where: this.#where, remedy });
  }

  damaged(how: string): Failure {
    return this.refuse(`The pickle inside is damaged: ${how}.`, AGAIN);
  }

  /** What is said of a name that would run code in Python. */
  dangerous(name: string): Failure {
    return this.refuse(
      `The pickle inside asks for ${quoted(name)}, which is no tensor and no plain container. Nothing was run.`,
      `${WEIGHTS_ONLY} Otherwise do not trust it.`,
    );
  }

  // --- The tape ---

  /** Moves past `length` bytes and gives where they began. */
  take(length: number): number {
    if (length > this.#bytes.length - this.at)
      throw this.damaged(`byte ${this.at} asks for ${length} more than there are`);
    this.at += length;
    return this.at - length;
  }

  byte(): number {
    return this.#bytes[this.take(1)]!;
  }
  uint16(): number {
    return this.#view.getUint16(this.take(2), true);
  }
  uint32(): number {
    return this.#view.getUint32(this.take(4), true);
  }
  int32(): number {
    return this.#view.getInt32(this.take(4), true);
  }
  uint64(): number {
    return Number(this.#view.getBigUint64(this.take(8), true));
  }
  float64(): number {
    return this.#view.getFloat64(this.take(8), false);
  }

  line(most = MAX_NAME): string {
    const start = this.at;
    while (this.#bytes[this.at] !== 0x0a) {
      if (this.at - start > most)
        throw this.refuse(`The pickle inside uses a name of more than ${most} characters.`);
      this.take(1);
    }
    return latin1.decode(this.#bytes.subarray(start, this.at++));
  }

  text(length: number): string {
    const start = this.take(length);
    // Most are short names; a decoder's start costs more than they do.
    if (length <= 24) {
      let short = "";
      for (let i = start; i < this.at && this.#bytes[i]! < 0x80; i++)
        short += String.fromCharCode(this.#bytes[i]!);
      if (short.length === length) return short;
    }
    try {
      // Half of a surrogate pair is text to Python and not to a decoder; it is no tensor's name either.
      return utf8.decode(this.#bytes.subarray(start, this.at));
    } catch {
      throw this.damaged(`the text at byte ${start} is not UTF-8`);
    }
  }

  /** A str of Python 2, which may be bytes. */
  oldText(length: number): PickledValue {
    const start = this.take(length);
    try {
      return utf8.decode(this.#bytes.subarray(start, this.at));
    } catch {
      return new PickledOther("bytes");
    }
  }

  long(length: number): PickledValue {
    const start = this.take(length);
    if (length > MAX_LONG) return new PickledOther("int");
    let value = 0n;
    for (let i = this.at - 1; i >= start; i--) value = (value << 8n) | BigInt(this.#bytes[i]!);
    if (length > 0 && this.#bytes[this.at - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    return whole(value);
  }

  // --- The stack ---

  push(value: PickledValue): void {
    if (this.#stack.length >= MAX_STACK)
      throw this.refuse(`The pickle inside stacks more than ${MAX_STACK} values.`);
    this.#stack.push(value);
  }

  pop(): PickledValue {
    this.#need("takes");
    return this.#stack.pop() as PickledValue;
  }

  top(): PickledValue {
    this.#need("needs");
    return this.#stack.at(-1) as PickledValue;
  }

  #need(what: string): void {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0))
      throw this.damaged(`byte ${this.at - 1} ${what} a value where there is none`);
  }

  mark(): void {
    if (this.#marks.push(this.#stack.length) > MAX_MARKS)
      throw this.refuse(`The pickle inside is nested deeper than ${MAX_MARKS} levels.`);
  }

  popToMark(): PickledValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.damaged(`byte ${this.at - 1} needs a mark`);
    return this.#stack.splice(mark);
  }

  /** POP takes a mark where nothing lies above it. */
  drop(): void {
    if (this.#stack.length === this.#marks.at(-1)) this.#marks.pop();
    else this.pop();
  }

  put(index = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.damaged(`it asks for value ${index} of ${this.#memo.size}`);
    this.push(value);
  }

  // --- What is made ---

  setItems(target: PickledValue, items: PickledValue[]): void {
    if (items.length % 2 === 1) throw this.damaged("a dict's key has no value");
    if (target instanceof PickledOther) return;
    const map = target instanceof PickledRecord ? target.items : target;
    if (!(map instanceof Map)) throw this.damaged("items are put into what is no dict");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (key instanceof Map || Array.isArray(key)) throw this.damaged("a dict's key is a dict or a list");
      map.set(key, items[i + 1]!);
    }
  }

  append(target: PickledValue, items: PickledValue[]): void {
    if (target instanceof PickledOther) return;
    if (target instanceof PickledRecord) {
      for (const item of items) target.items.set(target.items.size, item);
      return;
    }
    if (!Array.isArray(target)) throw this.damaged("items are put into what is no list");
    for (const item of items) target.push(item);
  }

  global(name: string): PickledGlobal {
    if (name.length > 2 * MAX_NAME)
      throw this.refuse(`The pickle inside uses a name of more than ${2 * MAX_NAME} characters.`);
    if (runsCode(name)) throw this.dangerous(name);
    return new PickledGlobal(name);
  }

  counts(value: PickledValue | undefined): number[] {
    const items = value instanceof PickledTuple ? value.items : Array.isArray(value) ? value : null;
    if (!items || items.length > MAX_RANK || !items.every(isCount)) {
      throw this.damaged(`a tensor has no usable shape or strides (at most ${MAX_RANK} whole numbers)`);
    }
    return items as number[];
  }

  /** What REDUCE makes: `callee(*args)` in Python. */
  call(callee: PickledValue, args: PickledValue): PickledValue {
    if (!(callee instanceof PickledGlobal)) throw this.damaged("it calls what is no function");
    if (!(args instanceof PickledTuple)) throw this.damaged("a call has no arguments");
    const { name } = callee;
    const construct = constructions.get(name);
    if (construct) return construct(this, args.items, name);
    if (/^torch\._(utils|tensor)\._rebuild_\w+$/.test(name)) return stranger("UNKNOWN", []);
    if (isInert(name)) return new PickledOther(name);
    // By Python's custom a class begins with a capital letter, a function does not.
    if (/(^|\.)_*[A-Z]\w*$/.test(name)) return new PickledRecord(name);
    throw this.dangerous(`${name}(...)`);
  }

  /** What NEWOBJ makes: an object of a class, its `__init__` not run. */
  instance(callee: PickledValue): PickledValue {
    if (callee instanceof PickledOther) return callee;
    if (!(callee instanceof PickledGlobal)) throw this.damaged("it makes an object of what is no class");
    if (callee.name === "collections.OrderedDict" || callee.name === "collections.defaultdict")
      return new Map();
    return new PickledRecord(callee.name);
  }

  persistent(id: PickledValue): PickledStorage {
    if (!(id instanceof PickledTuple)) throw this.damaged("a storage has no description");
    const [kind, type, key, , count] = id.items;
    const dtype = type instanceof PickledGlobal ? storages.get(type.name) : undefined;
    if (type instanceof PickledGlobal && dtype === undefined) throw this.dangerous(type.name);
    if (kind !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count)) {
      throw this.damaged("the description of a storage makes no sense");
    }
    const storage = new PickledStorage(dtype, key, count);
    this.storages.set(key, storage);
    return storage;
  }

  /** Gives an object its attributes; where Python would run a method of its class with them, they are let go. */
  build(target: PickledValue, state: PickledValue): void {
    if (target === null || typeof target !== "object" || Array.isArray(target))
      throw this.damaged("it gives attributes to what can have none");
    if (!(target instanceof PickledRecord)) return;
    const parts = state instanceof PickledTuple ? state.items : [state];
    for (const part of parts) {
      if (part instanceof Map) for (const [key, value] of part) target.attributes.set(key, value);
    }
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const latin1 = new TextDecoder("latin1");

type Construction = (machine: Machine, args: readonly PickledValue[], name: string) => PickledValue;

/** A tensor of this dtype that no bytes are read of. */
const stranger = (dtype: string, shape: readonly number[]) =>
  new PickledTensor(new PickledStorage(dtype, "", 0), 0, shape, []);

const tensor: Construction = (machine, [storage, offset, shape, stride]) => {
  if (!(storage instanceof PickledStorage) || !isCount(offset))
    throw machine.damaged("a tensor has no storage");
  return new PickledTensor(storage, offset, machine.counts(shape), machine.counts(stride));
};

/** With the dtype apart, over a storage of bytes. */
const typedTensor: Construction = (machine, args, name) => {
  const made = tensor(machine, args, name) as PickledTensor;
  const type = args[6];
  const dtype = (type instanceof PickledGlobal && tensorDtypes.get(type.name)) || "UNKNOWN";
  const { key, count } = made.storage;
  const storage = new PickledStorage(dtype, key, Math.floor(count / (dtypeBytes.get(dtype) ?? 1)));
  return new PickledTensor(storage, made.offset, made.shape, made.stride);
};

const listed: Construction = (machine, [list], name) => {
  if (Array.isArray(list) || list instanceof Map) return list;
  throw machine.damaged(`${name} gets no list`);
};

const tensorOf: Construction = (machine, [first]) => {
  if (first instanceof PickledTensor) return first;
  throw machine.damaged("a parameter has no tensor");
};

/** A dict from pairs, or from another one. */
const dict: Construction = (machine, args) => {
  const [from] = args.filter((arg) => Array.isArray(arg) || arg instanceof Map);
  if (from instanceof Map) return new Map(from);
  const made: PickledMap = new Map();
  for (const pair of Array.isArray(from) ? from : []) {
    const items = pair instanceof PickledTuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2)
      throw machine.damaged("a dict is made from what are no pairs");
    machine.setItems(made, [...items]);
  }
  return made;
};

/** An object of the class that stands first, as copyreg makes it. */
const object: Construction = (machine, [cls]) => machine.instance(cls as PickledValue);

/** Calls that have a meaning here. */
const constructions: ReadonlyMap<string, Construction> = new Map<string, Construction>([
  ["collections.OrderedDict", dict],
  ["collections.defaultdict", dict],
  ["collections.Counter", dict],
  ["torch.Size", (machine, [sides]) => new PickledTuple(machine.counts(sides))],
  ["torch._utils._rebuild_tensor", tensor],
  ["torch._utils._rebuild_tensor_v2", tensor],
  ["torch._utils._rebuild_tensor_v3", typedTensor],
  ["torch._utils._rebuild_parameter", tensorOf],
  ["torch._utils._rebuild_parameter_with_state", tensorOf],
  // A subclass of Tensor: a function of this table, the class, the function's arguments, attributes.
  [
    "torch._tensor._rebuild_from_type_v2",
    (machine, [make, , args]) => machine.call(make as PickledValue, args as PickledValue),
  ],
  ["torch._utils._rebuild_qtensor", (machine, args, name) => tensor(machine, args, name)],
  ["torch._utils._rebuild_sparse_tensor", () => stranger("SPARSE", [])],
  [
    "torch._utils._rebuild_meta_tensor_no_storage",
    (machine, [, shape]) => stranger("META", machine.counts(shape)),
  ],
  ["torch.jit._pickle.restore_type_tag", listed],
  ...["int", "tensor", "double", "bool"].map(
    (kind) => [`torch.jit._pickle.build_${kind}list`, listed] as const,
  ),
  ["copyreg._reconstructor", object],
  ["copy_reg._reconstructor", object],
  ["copyreg.__newobj__", object],
  ["copyreg.__newobj_ex__", object],
]);

type Instruction = (machine: Machine) => void;

const STOP = 0x2e;

/** Instructions that are not for files: of classes by number, and of bytes that lie elsewhere. */
const refused: ReadonlyMap<number, string> = new Map([
  [0x82, "EXT1"],
  [0x83, "EXT2"],
  [0x84, "EXT4"],
  [0x97, "NEXT_BUFFER"],
  [0x98, "READONLY_BUFFER"],
]);

const pushes =
  (make: (machine: Machine) => PickledValue): Instruction =>
  (machine) =>
    machine.push(make(machine));

const skips =
  (kind: string, length: (machine: Machine) => number): Instruction =>
  (machine) => {
    machine.take(length(machine));
    machine.push(new PickledOther(kind));
  };

const tuple = (count: number): Instruction =>
  pushes((machine) => {
    const items = new Array<PickledValue>(count);
    for (let i = count - 1; i >= 0; i--) items[i] = machine.pop();
    return new PickledTuple(items);
  });

/** The class that stands before its arguments, from a mark on. */
const oldObject = (machine: Machine, cls: PickledValue | undefined): PickledValue => {
  if (cls === undefined) throw machine.damaged("it makes an object of what is no class");
  return machine.instance(cls);
};

const instructions: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  [
    0x80 /* PROTO */,
    (machine) => {
      const protocol = machine.byte();
      if (protocol > 5) throw machine.damaged(`it is of protocol ${protocol}`);
    },
  ],
  [0x95 /* FRAME */, (machine) => void machine.take(8)],
  [0x28 /* MARK */, (machine) => machine.mark()],
  [0x30 /* POP */, (machine) => machine.drop()],
  [0x31 /* POP_MARK */, (machine) => void machine.popToMark()],
  [0x32 /* DUP */, pushes((machine) => machine.top())],

  [0x4e /* NONE */, pushes(() => null)],
  [0x88 /* NEWTRUE */, pushes(() => true)],
  [0x89 /* NEWFALSE */, pushes(() => false)],
  [0x4a /* BININT */, pushes((machine) => machine.int32())],
  [0x4b /* BININT1 */, pushes((machine) => machine.byte())],
  [0x4d /* BININT2 */, pushes((machine) => machine.uint16())],
  [0x49 /* INT */, pushes((machine) => decimal(machine, machine.line()))],
  [0x4c /* LONG */, pushes((machine) => decimal(machine, machine.line(10_000).replace(/L$/, "")))],
  [0x8a /* LONG1 */, pushes((machine) => machine.long(machine.byte()))],
  [0x8b /* LONG4 */, pushes((machine) => machine.long(machine.uint32()))],
  [0x46 /* FLOAT */, pushes((machine) => Number.parseFloat(machine.line()))],
  [0x47 /* BINFLOAT */, pushes((machine) => machine.float64())],

  [0x58 /* BINUNICODE */, pushes((machine) => machine.text(machine.uint32()))],
  [0x8c /* SHORT_BINUNICODE */, pushes((machine) => machine.text(machine.byte()))],
  [0x8d /* BINUNICODE8 */, pushes((machine) => machine.text(machine.uint64()))],
  [0x56 /* UNICODE */, pushes((machine) => unescaped(machine.line(10_000)))],
  [0x53 /* STRING */, pushes((machine) => machine.line(10_000).replace(/^(['"])(.*)\1$/s, "$2"))],
  [0x54 /* BINSTRING */, pushes((machine) => machine.oldText(machine.uint32()))],
  [0x55 /* SHORT_BINSTRING */, pushes((machine) => machine.oldText(machine.byte()))],
  [0x42 /* BINBYTES */, skips("bytes", (machine) => machine.uint32())],
  [0x43 /* SHORT_BINBYTES */, skips("bytes", (machine) => machine.byte())],
  [0x8e /* BINBYTES8 */, skips("bytes", (machine) => machine.uint64())],
  [0x96 /* BYTEARRAY8 */, skips("bytearray", (machine) => machine.uint64())],

  [0x5d /* EMPTY_LIST */, pushes(() => [])],
  [0x6c /* LIST */, pushes((machine) => machine.popToMark())],
  [0x7d /* EMPTY_DICT */, pushes(() => new Map())],
  [
    0x64 /* DICT */,
    pushes((machine) => {
      const made: PickledMap = new Map();
      machine.setItems(made, machine.popToMark());
      return made;
    }),
  ],
  [0x8f /* EMPTY_SET */, pushes(() => new PickledOther("set"))],
  [
    0x90 /* ADDITEMS */,
    (machine) => {
      machine.popToMark();
      if (!(machine.top() instanceof PickledOther || machine.top() instanceof PickledRecord))
        throw machine.damaged("items are put into what is no set");
    },
  ],
  [
    0x91 /* FROZENSET */,
    pushes((machine) => {
      machine.popToMark();
      return new PickledOther("frozenset");
    }),
  ],
  [0x29 /* EMPTY_TUPLE */, tuple(0)],
  [0x85 /* TUPLE1 */, tuple(1)],
  [0x86 /* TUPLE2 */, tuple(2)],
  [0x87 /* TUPLE3 */, tuple(3)],
  [0x74 /* TUPLE */, pushes((machine) => new PickledTuple(machine.popToMark()))],
  [
    0x61 /* APPEND */,
    (machine) => {
      const item = machine.pop();
      machine.append(machine.top(), [item]);
    },
  ],
  [
    0x65 /* APPENDS */,
    (machine) => {
      const items = machine.popToMark();
      machine.append(machine.top(), items);
    },
  ],
  [
    0x73 /* SETITEM */,
    (machine) => {
      const value = machine.pop();
      const key = machine.pop();
      machine.setItems(machine.top(), [key, value]);
    },
  ],
  [
    0x75 /* SETITEMS */,
    (machine) => {
      const items = machine.popToMark();
      machine.setItems(machine.top(), items);
    },
  ],

  [0x70 /* PUT */, (machine) => machine.put(Number(machine.line()))],
  [0x71 /* BINPUT */, (machine) => machine.put(machine.byte())],
  [0x72 /* LONG_BINPUT */, (machine) => machine.put(machine.uint32())],
  [0x94 /* MEMOIZE */, (machine) => machine.put()],
  [0x67 /* GET */, (machine) => machine.get(Number(machine.line()))],
  [0x68 /* BINGET */, (machine) => machine.get(machine.byte())],
  [0x6a /* LONG_BINGET */, (machine) => machine.get(machine.uint32())],

  [0x63 /* GLOBAL */, pushes((machine) => machine.global(`${machine.line()}.${machine.line()}`))],
  [
    0x93 /* STACK_GLOBAL */,
    pushes((machine) => {
      const name = machine.pop();
      const module = machine.pop();
      if (typeof name !== "string" || typeof module !== "string") throw machine.damaged("a name is no text");
      return machine.global(`${module}.${name}`);
    }),
  ],
  [
    0x52 /* REDUCE */,
    pushes((machine) => {
      const args = machine.pop();
      return machine.call(machine.pop(), args);
    }),
  ],
  [
    0x81 /* NEWOBJ */,
    pushes((machine) => {
      machine.pop();
      return machine.instance(machine.pop());
    }),
  ],
  [
    0x92 /* NEWOBJ_EX */,
    pushes((machine) => {
      machine.pop();
      machine.pop();
      return machine.instance(machine.pop());
    }),
  ],
  [
    0x69 /* INST */,
    pushes((machine) => {
      const cls = machine.global(`${machine.line()}.${machine.line()}`);
      machine.popToMark();
      return oldObject(machine, cls);
    }),
  ],
  [0x6f /* OBJ */, pushes((machine) => oldObject(machine, machine.popToMark()[0]))],
  [
    0x62 /* BUILD */,
    (machine) => {
      const state = machine.pop();
      machine.build(machine.top(), state);
    },
  ],
  [0x51 /* BINPERSID */, pushes((machine) => machine.persistent(machine.pop()))],
]);

/** By place, which is quicker a million times over. */
const byOpcode = Array.from({ length: 256 }, (_, opcode) => instructions.get(opcode));

/** A whole number that is safe as one, or a bigint. */
function whole(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A number in words; protocol 0 has the two truths as 00 and 01. */
function decimal(machine: Machine, text: string): PickledValue {
  if (text === "00" || text === "01") return text === "01";
  if (!/^[+-]?\d+$/.test(text)) throw machine.damaged(`${quoted(text)} is no whole number`);
  return text.length > 40 ? new PickledOther("int") : whole(BigInt(text.replace(/^\+/, "")));
}

/** Python's raw-unicode-escape. */
function unescaped(text: string): string {
  return text.replace(
    /\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g,
    (written, short?: string, long?: string) => {
      const code = Number.parseInt((short ?? long) as string, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : written;
    },
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
