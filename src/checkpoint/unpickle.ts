// Python's pickle, as far as torch.save needs it: tensors and plain containers are built, and nothing else. A pickle
// is a program for a small stack machine that may name any Python function; here a name is looked up in a short list
// and stands for a fixed, harmless construction. Any other name or instruction is refused by what it is called.
import { Failure } from "../failure.ts";
import { quoted } from "./json.ts";

/** A run of numbers of one dtype that lies elsewhere in the archive, under `key`. */
export class PickledStorage {
  constructor(
    readonly dtype: string,
    readonly key: string,
    /** Numbers in it. */
    readonly count: number,
  ) {}
}

/** A view of a storage. Offset and strides count numbers, not bytes; nothing of them is checked against the storage. */
export class PickledTensor {
  constructor(
    readonly storage: PickledStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

/** An object whose class is not known and never made: its attributes only (argparse.Namespace, a TorchScript module). */
export class PickledRecord {
  readonly attributes = new Map<string | number | boolean, PickledValue>();
  constructor(readonly className: string) {}
}

/** A tuple; a list is an array, a dict a Map in the order of the file. */
export class PickledTuple {
  constructor(readonly items: readonly PickledValue[]) {}
}

class PickledGlobal {
  constructor(readonly name: string) {}
}

export type PickledValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickledValue[]
  | Map<string | number | boolean, PickledValue>
  | PickledTuple
  | PickledTensor
  | PickledStorage
  | PickledRecord
  | PickledGlobal;

/** A pickle of 25,000 tensors is below these. */
const MAX_BYTES = 32_000_000;
const MAX_OPCODES = 1_000_000;
const MAX_STACK = 200_000;
const MAX_MARKS = 1000;
const MAX_NAME = 500;
/** Bytes of a whole number; the seeds and sizes of a training script have 8. */
const MAX_LONG = 16;
const MAX_RANK = 8;

const storages: ReadonlyMap<string, string> = new Map([
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.DoubleStorage", "F64"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
]);

/** TorchScript writes its typed lists through these; each takes a list and gives it back. */
const typedLists = /^torch\.jit\._pickle\.(build_(int|tensor|double|bool)list)$/;

const constructions: ReadonlySet<string> = new Set([
  "collections.OrderedDict",
  "argparse.Namespace",
  "torch.Size",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter",
  "torch.jit._pickle.restore_type_tag",
]);

/** A class that TorchScript compiled, or the stand-in for a plain object: only ever a bag of attributes. */
const isRecordClass = (name: string) => name.startsWith("__torch__.") || name === "argparse.Namespace";

// Every instruction there is, so that one that is refused can be named.
const opcodeNames: Record<number, string> = {
  40: "MARK",
  41: "EMPTY_TUPLE",
  46: "STOP",
  48: "POP",
  49: "POP_MARK",
  50: "DUP",
  66: "BINBYTES",
  67: "SHORT_BINBYTES",
  70: "FLOAT",
  71: "BINFLOAT",
  73: "INT",
  74: "BININT",
  75: "BININT1",
  76: "LONG",
  77: "BININT2",
  78: "NONE",
  80: "PERSID",
  81: "BINPERSID",
  82: "REDUCE",
  83: "STRING",
  84: "BINSTRING",
  85: "SHORT_BINSTRING",
  86: "UNICODE",
  88: "BINUNICODE",
  93: "EMPTY_LIST",
  97: "APPEND",
  98: "BUILD",
  99: "GLOBAL",
  100: "DICT",
  101: "APPENDS",
  103: "GET",
  104: "BINGET",
  105: "INST",
  106: "LONG_BINGET",
  108: "LIST",
  111: "OBJ",
  112: "PUT",
  113: "BINPUT",
  114: "LONG_BINPUT",
  115: "SETITEM",
  116: "TUPLE",
  117: "SETITEMS",
  125: "EMPTY_DICT",
  128: "PROTO",
  129: "NEWOBJ",
  130: "EXT1",
  131: "EXT2",
  132: "EXT4",
  133: "TUPLE1",
  134: "TUPLE2",
  135: "TUPLE3",
  136: "NEWTRUE",
  137: "NEWFALSE",
  138: "LONG1",
  139: "LONG4",
  140: "SHORT_BINUNICODE",
  141: "BINUNICODE8",
  142: "BINBYTES8",
  143: "EMPTY_SET",
  144: "ADDITEMS",
  145: "FROZENSET",
  146: "NEWOBJ_EX",
  147: "STACK_GLOBAL",
  148: "MEMOIZE",
  149: "FRAME",
  150: "BYTEARRAY8",
  151: "NEXT_BUFFER",
  152: "READONLY_BUFFER",
};

const STATE_DICT_ONLY =
  "If you made the file, save only the weights: torch.save(model.state_dict(), ...) or safetensors. Otherwise do not trust it.";

/**
 * Reads one pickle (protocol 2, as torch.save and torch.jit.save write it). Tensors stay references to storages.
 * Time and memory are bounded by the length of `bytes`, which is bounded itself; nothing is ever executed.
 * @param where names the file in a Failure (`bad-file`): an instruction or a name that is not on the list, a pickle
 *   that is damaged, or one out of bounds
 */
export function unpickle(bytes: Uint8Array, where: string): PickledValue {
  const refuse = (what: string, remedy = STATE_DICT_ONLY) =>
    new Failure({ code: "bad-file", what, where, remedy });
  const damaged = (how: string) =>
    refuse(`The pickle inside is damaged: ${how}.`, "Download or save the file again.");
  if (bytes.length > MAX_BYTES) {
    throw refuse(
      `The pickle inside has ${bytes.length} bytes; at most ${MAX_BYTES} are read, and tensors are not among them.`,
    );
  }

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  const latin1 = new TextDecoder("latin1");
  const stack: PickledValue[] = [];
  const marks: number[] = [];
  const memo: PickledValue[] = [];
  let at = 0;

  /** Moves past `length` bytes and gives where they began. */
  const take = (length: number): number => {
    if (length > bytes.length - at) throw damaged(`byte ${at} asks for ${length} more than there are`);
    at += length;
    return at - length;
  };
  const push = (value: PickledValue): void => {
    if (stack.length >= MAX_STACK) throw refuse(`The pickle inside stacks more than ${MAX_STACK} values.`);
    stack.push(value);
  };
  const pop = (): PickledValue => {
    if (stack.length <= (marks.at(-1) ?? 0))
      throw damaged(`byte ${at - 1} takes a value where there is none`);
    return stack.pop() as PickledValue;
  };
  const top = (): PickledValue => {
    if (stack.length <= (marks.at(-1) ?? 0))
      throw damaged(`byte ${at - 1} needs a value where there is none`);
    return stack.at(-1) as PickledValue;
  };
  const popToMark = (): PickledValue[] => {
    const mark = marks.pop();
    if (mark === undefined) throw damaged(`byte ${at - 1} needs a mark`);
    return stack.splice(mark);
  };
  const line = (): string => {
    const start = at;
    while (bytes[at] !== 0x0a) {
      if (at - start > MAX_NAME)
        throw refuse(`The pickle inside uses a name of more than ${MAX_NAME} characters.`);
      take(1);
    }
    return latin1.decode(bytes.subarray(start, at++));
  };
  const text = (length: number): string => {
    const start = take(length);
    // Most are short names; a decoder's start costs more than they do.
    if (length <= 24) {
      let short = "";
      for (let i = start; i < at && bytes[i]! < 0x80; i++) short += String.fromCharCode(bytes[i]!);
      if (short.length === length) return short;
    }
    try {
      return utf8.decode(bytes.subarray(start, at));
    } catch {
      throw damaged(`the text at byte ${start} is not UTF-8`);
    }
  };
  const long = (length: number): number | bigint => {
    if (length > MAX_LONG) throw refuse(`The pickle inside has a whole number of ${length} bytes.`);
    const start = take(length);
    let value = 0n;
    for (let i = at - 1; i >= start; i--) value = (value << 8n) | BigInt(bytes[i]!);
    if (length > 0 && bytes[at - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  };
  const setItems = (target: PickledValue, items: PickledValue[]): void => {
    if (!(target instanceof Map)) throw damaged("items are put into what is no dict");
    if (items.length % 2 === 1) throw damaged("a dict's key has no value");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (typeof key !== "string" && typeof key !== "number" && typeof key !== "boolean") {
        throw refuse("The pickle inside has a dict whose keys are neither text nor numbers.");
      }
      target.set(key, items[i + 1]!);
    }
  };
  const append = (target: PickledValue, items: PickledValue[]): void => {
    if (!Array.isArray(target)) throw damaged("items are put into what is no list");
    for (const item of items) target.push(item);
  };
  const unknownName = (name: string) =>
    refuse(
      `The pickle inside asks for ${quoted(name)}, which is no tensor and no plain container. Nothing was run.`,
    );
  const counts = (value: PickledValue | undefined): number[] => {
    const items = value instanceof PickledTuple ? value.items : Array.isArray(value) ? value : null;
    if (!items || items.length > MAX_RANK || !items.every(isCount)) {
      throw damaged(`a tensor has no usable shape or strides (at most ${MAX_RANK} whole numbers)`);
    }
    return items as number[];
  };

  /** What a name makes of its arguments. */
  const call = (callee: PickledValue, args: PickledValue): PickledValue => {
    if (!(callee instanceof PickledGlobal)) throw damaged("it calls what is no function");
    if (!(args instanceof PickledTuple)) throw damaged("a call has no arguments");
    const { name } = callee;
    const { items } = args;
    const [first] = items;
    if (isRecordClass(name)) {
      if (items.length > 0) throw unknownName(`${name}(...)`);
      return new PickledRecord(name);
    }
    if (typedLists.test(name) || name === "torch.jit._pickle.restore_type_tag") {
      if (Array.isArray(first) || first instanceof Map) return first;
      throw damaged(`${name} gets no list`);
    }
    switch (name) {
      case "collections.OrderedDict":
        if (items.length === 0) return new Map();
        throw refuse("The pickle inside makes an OrderedDict from a list, which torch.save does not.");
      case "torch.Size":
        return new PickledTuple(counts(first));
      case "torch._utils._rebuild_tensor_v2": {
        const [storage, offset, shape, stride] = items;
        if (!(storage instanceof PickledStorage) || !isCount(offset))
          throw damaged("a tensor has no storage");
        return new PickledTensor(storage, offset, counts(shape), counts(stride));
      }
      case "torch._utils._rebuild_parameter":
        if (first instanceof PickledTensor) return first;
        throw damaged("a parameter has no tensor");
      default:
        // A dtype or a storage class is a name and no function.
        throw unknownName(`${name}(...)`);
    }
  };
  const persistent = (id: PickledValue): PickledStorage => {
    if (!(id instanceof PickledTuple)) throw damaged("a storage has no description");
    const [kind, type, key, , count] = id.items;
    const dtype = type instanceof PickledGlobal ? storages.get(type.name) : undefined;
    if (kind !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count)) {
      throw damaged("the description of a storage makes no sense");
    }
    return new PickledStorage(dtype, key, count);
  };
  const build = (target: PickledValue, state: PickledValue): void => {
    // A state dict carries version numbers of its modules as an attribute; nothing here needs them.
    if (target instanceof Map) return;
    if (!(target instanceof PickledRecord) || !(state instanceof Map)) {
      throw damaged("it gives attributes to what can have none");
    }
    for (const [key, value] of state) target.attributes.set(key, value);
  };

  for (let count = 0; ; count++) {
    if (count >= MAX_OPCODES) throw refuse(`The pickle inside has more than ${MAX_OPCODES} instructions.`);
    const opcode = bytes[take(1)]!;
    switch (opcode) {
      case 0x80 /* PROTO */:
        {
          const protocol = bytes[take(1)]!;
          if (protocol > 5) throw damaged(`it is of protocol ${protocol}`);
          break;
        }
      case 0x28 /* MARK */:
        if (marks.push(stack.length) > MAX_MARKS) {
          throw refuse(`The pickle inside is nested deeper than ${MAX_MARKS} levels.`);
        }
        break;
      case 0x4e /* NONE */:
        push(null);
        break;
      case 0x88 /* NEWTRUE */:
        push(true);
        break;
      case 0x89 /* NEWFALSE */:
        push(false);
        break;
      case 0x4a /* BININT */:
        push(view.getInt32(take(4), true));
        break;
      case 0x4b /* BININT1 */:
        push(bytes[take(1)]!);
        break;
      case 0x4d /* BININT2 */:
        push(view.getUint16(take(2), true));
        break;
      case 0x8a /* LONG1 */:
        push(long(bytes[take(1)]!));
        break;
      case 0x47 /* BINFLOAT */:
        push(view.getFloat64(take(8), false));
        break;
      case 0x58 /* BINUNICODE */:
        push(text(view.getUint32(take(4), true)));
        break;
      case 0x55 /* SHORT_BINSTRING, a str of Python 2 */:
        push(text(bytes[take(1)]!));
        break;
      case 0x54 /* BINSTRING */:
        push(text(view.getUint32(take(4), true)));
        break;
      case 0x5d /* EMPTY_LIST */:
        push([]);
        break;
      case 0x7d /* EMPTY_DICT */:
        push(new Map());
        break;
      case 0x29 /* EMPTY_TUPLE */:
        push(new PickledTuple([]));
        break;
      case 0x85 /* TUPLE1 */:
        push(new PickledTuple([pop()]));
        break;
      case 0x86 /* TUPLE2 */:
        {
          const second = pop();
          push(new PickledTuple([pop(), second]));
          break;
        }
      case 0x87 /* TUPLE3 */:
        {
          const third = pop();
          const second = pop();
          push(new PickledTuple([pop(), second, third]));
          break;
        }
      case 0x74 /* TUPLE */:
        push(new PickledTuple(popToMark()));
        break;
      case 0x61 /* APPEND */:
        {
          const item = pop();
          append(top(), [item]);
          break;
        }
      case 0x65 /* APPENDS */:
        {
          const items = popToMark();
          append(top(), items);
          break;
        }
      case 0x73 /* SETITEM */:
        {
          const value = pop();
          const key = pop();
          setItems(top(), [key, value]);
          break;
        }
      case 0x75 /* SETITEMS */:
        {
          const items = popToMark();
          setItems(top(), items);
          break;
        }
      case 0x71 /* BINPUT */:
      case 0x72 /* LONG_BINPUT */:
        {
          const index = opcode === 0x71 ? bytes[take(1)]! : view.getUint32(take(4), true);
          if (index > memo.length)
            throw damaged(`it remembers a value as number ${index} after ${memo.length}`);
          memo[index] = top();
          break;
        }
      case 0x68 /* BINGET */:
      case 0x6a /* LONG_BINGET */:
        {
          const index = opcode === 0x68 ? bytes[take(1)]! : view.getUint32(take(4), true);
          if (index >= memo.length) throw damaged(`it asks for value ${index} of ${memo.length}`);
          push(memo[index]!);
          break;
        }
      case 0x63 /* GLOBAL */:
        {
          const name = `${line()}.${line()}`;
          const known =
            constructions.has(name) || storages.has(name) || typedLists.test(name) || isRecordClass(name);
          if (!known && !/^torch\.(float|bfloat|int|uint|bool)\d*$/.test(name)) throw unknownName(name);
          push(new PickledGlobal(name));
          break;
        }
      case 0x52 /* REDUCE */:
      case 0x81 /* NEWOBJ */:
        {
          const args = pop();
          push(call(pop(), args));
          break;
        }
      case 0x62 /* BUILD */:
        {
          const state = pop();
          build(top(), state);
          break;
        }
      case 0x51 /* BINPERSID */:
        push(persistent(pop()));
        break;
      case 0x2e /* STOP */:
        return pop();
      default:
        throw refuse(
          `The pickle inside uses ${
            opcodeNames[opcode] ?? `the unknown instruction ${opcode}`
          }, which weights saved by torch.save never need. Nothing was run.`,
        );
    }
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
