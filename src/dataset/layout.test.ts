import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readLayout, type Tree } from "./layout.ts";
import { normaliseName } from "./match.ts";
import type { Candidate } from "./placement.ts";
import type { Split } from "./types.ts";

const images = (folder: string, count = 2) => Array.from({ length: count }, (_, i) => `${folder}/${i}.jpg`);
const each = (folders: string[], classes: string[], count = 2) =>
  folders.flatMap((folder) => classes.flatMap((name) => images(`${folder}/${name}`, count)));
const tree = (paths: string[], more: Partial<Tree> = {}): Tree => ({
  images: [...paths].sort(),
  tables: [],
  others: [],
  ...more,
});
const pets = ["cat", "dog", "fox"];

/** Images of each class in each split: `cat/train` 2, `cat/-` where it has none, `-` where it is left out. */
function counts({ labels, splits }: Candidate): Record<string, number> {
  const found: Record<string, number> = {};
  labels.forEach((label, i) => {
    const key = label === null ? "-" : `${label}/${splits[i] ?? "-"}`;
    found[key] = (found[key] ?? 0) + 1;
  });
  return found;
}
const inSplits = (splits: string[], classes = pets, n = 2) =>
  Object.fromEntries(splits.flatMap((split) => classes.map((name) => [`${name}/${split}`, n])));
const first = (given: Tree): Candidate => {
  const [candidate] = readLayout(given).candidates;
  if (!candidate) throw new Error("no reading");
  return candidate;
};

describe("split folders under other words", () => {
  test.each<[string, string[], string[]]>([
    ["Intel's", ["seg_train/seg_train", "seg_test/seg_test"], ["train", "test"]],
    ["cats and dogs", ["training_set/training_set", "test_set/test_set"], ["train", "test"]],
    ["images", ["train_images", "val_images", "test_images"], ["train", "val", "test"]],
    ["capitals", ["Training", "Testing"], ["train", "test"]],
    ["spaces", ["Training set", "Validation set", "Test set"], ["train", "val", "test"]],
    ["data", ["training_data", "testing_data"], ["train", "test"]],
    ["evaluation", ["train", "evaluation"], ["train", "test"]],
    ["evaluation beside a test", ["train", "eval", "test"], ["train", "val", "test"]],
    ["hold-out", ["train", "hold-out"], ["train", "test"]],
    ["a prefix", ["asl_alphabet_train", "asl_alphabet_test"], ["train", "test"]],
    ["a prefix in camels", ["FlowersTrain", "FlowersValid"], ["train", "val"]],
    ["years", ["train2017", "val2017"], ["train", "val"]],
    ["numbers before", ["1_train", "2_val", "3_test"], ["train", "val", "test"]],
    ["German", ["Training", "Validierung"], ["train", "val"]],
    ["French", ["entraînement", "test"], ["train", "test"]],
    ["Spanish", ["entrenamiento", "prueba"], ["train", "test"]],
    ["Portuguese", ["treino", "validação", "teste"], ["train", "val", "test"]],
    ["Chinese", ["训练集", "验证集", "测试集"], ["train", "val", "test"]],
    ["Japanese", ["学習", "テスト"], ["train", "test"]],
    ["Korean", ["훈련", "검증"], ["train", "val"]],
    ["Russian", ["обучение", "тест"], ["train", "test"]],
    ["wrapped deeply", ["ILSVRC/Data/CLS-LOC/train", "ILSVRC/Data/CLS-LOC/val"], ["train", "val"]],
    ["splits that lack classes", ["train", "dev"], ["train", "val"]],
  ])("%s", (_, folders, splits) => {
    const candidate = first(tree(each(folders, pets)));
    expect(candidate.doubt).toBeNull();
    expect(candidate.kind).toBe("splits");
    expect(counts(candidate)).toEqual(inSplits(splits));
  });

  test("images to be predicted are left out, in a folder of their own or in a test folder without classes", () => {
    for (const more of [
      images("pred/pred", 3),
      images("test", 3),
      images("test/test", 3),
      images("unlabeled/x", 3),
    ]) {
      const candidate = first(tree([...each(["train", "val"], pets), ...more]));
      expect(candidate.doubt).toBeNull();
      expect(counts(candidate)).toEqual({ ...inSplits(["train", "val"]), "-": 3 });
    }
  });

  test("a validation folder with one class is no wrapper", () => {
    const candidate = first(tree([...each(["train"], pets), "val/cat/batch 1/1.jpg"]));
    expect(counts(candidate)).toMatchObject({ "cat/val": 1 });
  });

  test("inside class folders they are honoured", () => {
    const candidate = first(tree(pets.flatMap((name) => each([name], ["train", "test"]))));
    expect(candidate).toMatchObject({ doubt: null, kind: "classes-of-splits" });
    expect(counts(candidate)).toEqual(inSplits(["train", "test"]));
  });
});

describe("classes that are called like something else", () => {
  test.each([
    ["splits among others", ["test", "train", "bus"]],
    ["trains", ["bullet_train", "freight_train", "steam train"]],
    ["masks", ["with_mask", "without_mask"]],
    ["masks, short", ["mask", "no_mask"]],
    ["numbers", ["0", "1", "10"]],
    ["numbered classes", ["class 1", "class 2"]],
  ])("%s", (_, classes) => {
    const candidate = first(tree(each(["x"], classes)));
    expect(candidate.doubt).toBeNull();
    expect(counts(candidate)).toEqual(inSplits(["-"], classes));
  });

  test.each<[string, string[], string]>([
    ["nothing but splits", each(["x"], ["test", "train"]), "only-splits"],
    ["splits of something else", each(["x"], ["trainA", "trainB", "testA", "testB"]), "only-splits"],
    ["what a camera calls its folders", each(["DCIM"], ["100CANON", "101CANON"]), "only-splits"],
    [
      "kinds of trains and tests",
      each(["train", "test", "bus"], []).concat(
        images("train/steam"),
        images("train/diesel"),
        images("test/lab"),
        images("test/exam"),
        images("bus/red"),
        images("bus/blue"),
      ),
      "different-splits",
    ],
    ["a folder of the same classes that is no split", each(["train", "val", "extra"], pets), "some-splits"],
    [
      "only some classes hold splits",
      [...each(["cat", "dog"], ["train", "test"]), ...images("fox")],
      "some-splits",
    ],
  ])("%s is asked", (_, paths, doubt) => {
    expect(first(tree(paths)).doubt).toBe(doubt);
  });
});

describe("folders in folders", () => {
  test("one folder in each class belongs to it, as do numbered parts and dates", () => {
    for (const inner of [["images"], ["x"], ["batch 1", "batch 2"], ["2020-01-02", "2020-03-04"]]) {
      const candidate = first(tree(pets.flatMap((name) => each([name], inner))));
      expect(candidate).toMatchObject({ doubt: null, kind: "classes" });
      expect(new Set(candidate.labels)).toEqual(new Set(pets));
    }
  });

  test("a hierarchy is asked, and both of its levels are offered", () => {
    const { candidates } = readLayout(
      tree([...each(["animals"], ["cat", "bat"]), ...each(["sports"], ["ball", "bat"])]),
    );
    expect(candidates.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["classes", "leaves"]));
    expect(candidates[0]?.doubt).not.toBeNull();
    const uneven = readLayout(tree([...each(["animals"], ["cat", "dog"]), ...images("car")])).candidates;
    expect(uneven.map(({ kind, doubt }) => [kind, doubt])).toEqual([
      ["classes", "nested"],
      ["leaves", "nested"],
    ]);
    expect(new Set(uneven[1]?.labels)).toEqual(new Set(["cat", "dog", "car"]));
  });

  test("innermost folders of one name below different ones are different classes", () => {
    const paths = [...each(["animals"], ["cat", "dog", "bat"]), ...each(["sports"], ["ball", "net", "bat"])];
    const leaves = readLayout(tree(paths)).candidates.find(({ kind }) => kind === "leaves");
    expect(new Set(leaves?.labels)).toEqual(
      new Set(["cat", "dog", "animals/bat", "ball", "net", "sports/bat"]),
    );
  });

  test("a copy of the whole inside is left out", () => {
    const candidate = first(tree([...each(["cells"], pets), ...each(["cells/cells"], pets)]));
    expect(candidate.doubt).toBeNull();
    expect(counts(candidate)).toEqual({ ...inSplits(["-"]), "-": 6 });
  });

  test("one folder that holds nearly everything is offered first", () => {
    const { candidates } = readLayout(
      tree([...each(["data/train", "data/val"], pets, 9), ...images("docs/figures")]),
    );
    expect(candidates[0]).toMatchObject({ layout: "splits@data", doubt: "beside" });
    expect(counts(candidates[0] as Candidate)).toEqual({ ...inSplits(["train", "val"], pets, 9), "-": 2 });
  });
});

describe("domains", () => {
  const styles = ["art_painting", "photo", "sketch"];
  test.each<[string, string[]]>([
    ["PACS", each(styles, pets)],
    [
      "Office-31, a folder between",
      each(
        styles.map((style) => `${style}/images`),
        pets,
      ),
    ],
    ["a class that is missing in one", each(styles, pets).filter((path) => !path.startsWith("sketch/fox"))],
    ["numbers for classes", each(styles, ["0", "1", "2"])],
    [
      "one with far fewer classes",
      [...each(["photo"], [...pets, "cow", "ant"]), ...each(["sketch"], ["cat"]), ...each(["toy"], pets)],
    ],
  ])("%s", (_, paths) => {
    const candidate = first(tree(paths));
    expect(candidate).toMatchObject({ doubt: "same-classes", kind: "domains" });
    candidate.labels.forEach((label, i) => {
      const parts = ([...paths].sort()[i] as string).split("/");
      expect([candidate.domainOf[i], label]).toEqual([parts[0], parts.at(-2)]);
    });
  });

  test("with splits inside each, or inside splits", () => {
    const inside = first(
      tree(
        each(
          styles.flatMap((style) => [`${style}/train`, `${style}/test`]),
          pets,
        ),
      ),
    );
    expect(inside).toMatchObject({ kind: "domains", domains: styles });
    expect(counts(inside)).toEqual(inSplits(["train", "test"], pets, 6));
    const below = first(
      tree(
        each(
          ["train", "test"],
          styles.flatMap((style) => pets.map((pet) => `${style}/${pet}`)),
        ),
      ),
    );
    expect(below).toMatchObject({ kind: "domains", domains: styles });
    expect(counts(below)).toEqual(inSplits(["train", "test"], pets, 6));
  });

  test("with splits beside other folders", () => {
    const parts = ["crossval", "full", "train"].flatMap((part) => styles.map((style) => `${style}/${part}`));
    const candidate = first(tree(each(parts, pets)));
    expect(counts(candidate)).toEqual({ ...inSplits(["train", "val"], pets, 6), "-": 18 });
  });

  test("folds are asked: all of them, or one", () => {
    const { candidates } = readLayout(tree(each(["fold_0", "fold_1", "fold_2"], pets)));
    expect(candidates.map(({ kind, doubt }) => [kind, doubt])).toEqual([
      ["folds", "folds"],
      ["domains", "folds"],
      ["classes", "folds"],
    ]);
  });
});

describe("what is no set of classes", () => {
  test("masks beside images", () => {
    expect(readLayout(tree([...images("images"), ...images("masks")]))).toEqual({
      candidates: [],
      isInstead: { kind: "masks", folders: ["images", "masks"] },
    });
    const candidate = first(tree(each(["images", "masks"], pets)));
    expect(candidate.doubt).toBe("masks");
    expect(counts(candidate)).toEqual({ ...inSplits(["-"]), "-": 6 });
  });

  test("masks inside each class are left out, by their folder or by their name", () => {
    const byFolder = first(tree(pets.flatMap((name) => each([name], ["images", "masks"]))));
    const byName = first(
      tree(pets.flatMap((name) => [...images(name), `${name}/0_mask.jpg`, `${name}/1_mask.jpg`])),
    );
    for (const candidate of [byFolder, byName]) {
      expect(candidate.doubt).toBeNull();
      expect(counts(candidate)).toEqual({ ...inSplits(["-"]), "-": 6 });
    }
  });

  test.each([
    ["YOLO's text files", "train/labels/0.txt"],
    ["Pascal VOC's XML files", "train/images/0.xml"],
    ["COCO's JSON", "train/_annotations.coco.json"],
  ])("boxes in %s", (files, path) => {
    const paths = [...images("train/images"), ...images("valid/images")];
    expect(readLayout(tree(paths, { others: [path] }))).toEqual({
      candidates: [],
      isInstead: { kind: "boxes", files },
    });
  });

  test("images alone", () => {
    expect(readLayout(tree(["1.jpg", "2.jpg"]))).toEqual({ candidates: [], isInstead: null });
  });
});

describe("a table of labels", () => {
  const files = ["a", "b", "c", "d"].map((name) => `train/${name}.jpg`);
  const rowsOf = (...rows: string[]) => rows.map((row) => row.split(","));
  const labels = (given: Tree) => {
    const { doubt, labels: found, layout } = first(given);
    return [layout, doubt, ...found];
  };
  test.each<[string, string, string[][]]>([
    ["ids without extension", "labels.csv", rowsOf("id,breed", "a,x", "b,y", "c,x", "d,y")],
    [
      "Hugging Face's",
      "train/metadata.csv",
      rowsOf("file_name,label", "a.jpg,x", "b.jpg,y", "c.jpg,x", "d.jpg,y"),
    ],
    [
      "paths",
      "train.csv",
      rowsOf("image,category", "./train/a.jpg,x", "train/b.jpg,y", "train/c.jpg,x", "train\\d.jpg,y"),
    ],
    ["no header", "labels.csv", rowsOf("a.jpg,x", "b.jpg,y", "c.jpg,x", "d.jpg,y")],
    ["an unnamed label", "labels.tsv", rowsOf("file,colour", "a,x", "b,y", "c,x", "d,y")],
    ["a number and a word", "l.csv", rowsOf("class id,file,labels", "0,a,x", "1,b,y", "0,c,x", "1,d,y")],
    ["a column for each class", "train.csv", rowsOf("image_id,x,y", "a,1,0", "b,0,1.0", "c,1,0", "d,0,1")],
  ])("%s", (_, path, rows) => {
    const [layout, doubt, ...found] = labels(tree(files, { tables: [{ path, rows }] }));
    expect(layout).toMatch(/^table:/);
    expect([doubt, ...found]).toEqual([null, "x", "y", "x", "y"]);
  });

  test("its split column, and tables named after splits", () => {
    const rows = rowsOf("file,label,split", "a,x,train", "b,y,train", "c,x,test", "d,y,val");
    expect(first(tree(files, { tables: [{ path: "l.csv", rows }] })).splits).toEqual([
      "train",
      "train",
      "test",
      "val",
    ]);
    const both = tree([...images("train", 2), ...images("test", 2)], {
      tables: [
        { path: "train.csv", rows: rowsOf("id,label", "0,x", "1,y") },
        { path: "test.csv", rows: rowsOf("id,label", "0,y", "1,x") },
      ],
    });
    expect(first(both)).toMatchObject({
      doubt: null,
      labels: ["y", "x", "x", "y"],
      splits: ["test", "test", "train", "train"],
    });
  });

  test("what is missing, or could be another column, is asked", () => {
    const part = { path: "train.csv", rows: rowsOf("id,label", "a,x") };
    expect(first(tree(files, { tables: [part] }))).toMatchObject({ kind: "table", doubt: "table" });
    const two = { path: "l.csv", rows: rowsOf("id,colour,shape", "a,x,o", "b,y,o", "c,x,p", "d,y,p") };
    expect(
      readLayout(tree(files, { tables: [two] })).candidates.map(({ layout, doubt }) => [layout, doubt]),
    ).toEqual([
      ["table:colour", "table"],
      ["table:shape", "table"],
    ]);
  });

  test("a submission's sample is none, and class folders it agrees with stand", () => {
    const sample = { path: "sample_submission.csv", rows: rowsOf("id,label", "a,x", "b,y", "c,x", "d,y") };
    expect(readLayout(tree(files, { tables: [sample] })).candidates).toEqual([]);
    const paths = each(["data"], pets);
    const agrees = {
      path: "l.csv",
      rows: [["file", "label"], ...paths.map((path) => [path, path.split("/")[1] as string])],
    };
    expect(first(tree(paths, { tables: [agrees] }))).toMatchObject({ kind: "classes", doubt: null });
    const patients = each(["data"], ["p1", "p2", "p3"], 2);
    const other = {
      path: "l.csv",
      rows: [["file", "label"], ...patients.map((path, i) => [path, i % 2 ? "ill" : "well"])],
    };
    expect(first(tree(patients, { tables: [other] }))).toMatchObject({ kind: "table", doubt: "table" });
  });
});

test("labels in file names are offered, and camera names are none", () => {
  const kaggle = ["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"].map((name) => `train/${name}`);
  const candidate = first(tree([...kaggle, ...images("test1", 3)]));
  expect(candidate).toMatchObject({ kind: "names", doubt: "names" });
  expect(counts(candidate)).toEqual({ "cat/train": 2, "dog/train": 2, "-": 3 });
  expect(readLayout(tree(["IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"])).candidates).toEqual([]);
});

// Generated trees ------------------------------------------------------------------------------------------------------

const plainNames = fc.constantFrom(
  ..."cat dog fox Katze собака 猫 ねこ قط café naïve T-Shirt ice_cream über crème n01440764 7up".split(" "),
);
const anyNames = fc
  .string({ minLength: 1, maxLength: 8, unit: "grapheme" })
  .filter((name) => !/[/\\\p{C}]|^\.|^\s|\s$/u.test(name) && normaliseName(name) !== "");
const trickyNames = fc.constantFrom(
  ..."train test val bus images masks mask labels data bullet_train test_tube fold_1 fold_2 2021-01-01 7 12 eval pred set valid dev batch_1 photos x original".split(
    " ",
  ),
);
const classesOf = (name: fc.Arbitrary<string>) =>
  fc.uniqueArray(name, { minLength: 2, maxLength: 6, selector: normaliseName });

const conventions: Record<Split, string[]>[] = [
  {
    train: ["train", "Train", "TRAIN", "training"],
    val: ["val", "Valid", "validation", "dev"],
    test: ["test", "Testing", "TEST"],
  },
  { train: ["seg_train", "x_train"], val: [], test: [] },
  {
    train: ["training_set", "Training Set"],
    val: ["validation_set", "valid set"],
    test: ["test_set", "Test set"],
  },
  {
    train: ["train_images", "train-data"],
    val: ["val_images", "valid-data"],
    test: ["test_images", "test-data"],
  },
  { train: ["train"], val: ["eval"], test: ["test", "holdout"] },
  { train: ["训练集"], val: ["验证集"], test: ["测试集"] },
  { train: ["treinamento"], val: ["validação"], test: ["teste"] },
];
const wrappers = fc.constantFrom(
  "",
  "archive/",
  "my pictures/",
  "data/",
  "a/b/",
  "ILSVRC/Data/CLS-LOC/",
  "train-test-split/",
);
const noise = fc.subarray(["README.md", "LICENSE", "meta/train.txt", "notes.docx", "classes.txt"]);

interface Case {
  paths: string[];
  /** Class and split of each path. */
  truth: Map<string, [label: string | null, split: Split | null]>;
  others: string[];
}

const shapes = ["plain", "inner", "splits", "doubled", "below", "unlabelled"] as const;
const caseOf = (name: fc.Arbitrary<string>): fc.Arbitrary<Case> =>
  fc
    .record({
      classes: classesOf(name),
      shape: fc.constantFrom(...shapes),
      convention: fc.constantFrom(...conventions.filter(({ val }) => val.length > 0)),
      picks: fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)),
      parts: fc.constantFrom<Split[]>(["train", "val"], ["train", "test"], ["train", "val", "test"]),
      wrapper: wrappers,
      prefix: fc.constantFrom("", "", "asl_", "Flowers-"),
      others: noise,
      count: fc.integer({ min: 1, max: 4 }),
    })
    .map(({ classes, shape, convention, picks, parts, wrapper, prefix, others, count }) => {
      const truth: Case["truth"] = new Map();
      const put = (folder: string, label: string | null, split: Split | null) => {
        for (let i = 0; i < count; i++) truth.set(`${wrapper}${folder}/${i}.jpg`, [label, split]);
      };
      const called = (split: Split, p: number) => {
        const words = convention[split];
        return prefix + (words[(picks[p] as number) % words.length] as string);
      };
      const named = parts.map((split, p) => ({ split, folder: called(split, p) }));
      for (const label of classes) {
        if (shape === "plain") put(label, label, null);
        else if (shape === "inner") put(`${label}/images`, label, null);
        else
          for (const { split, folder } of named) {
            if (shape === "below") put(`${label}/${folder}`, label, split);
            else put(`${folder}/${shape === "doubled" ? `${folder}/` : ""}${label}`, label, split);
          }
      }
      if (shape === "unlabelled") put(`${prefix}pred`, null, null);
      return { paths: [...truth.keys()].sort(), truth, others: others.map((file) => wrapper + file) };
    });

/** Evaluation words stand for another split where there is no test folder; the truth of these trees does not say so. */
const isTrue = ({ paths, truth }: Case, { labels, splits }: Candidate) =>
  paths.every((path, i) => {
    const [label, split] = truth.get(path) as [string | null, Split | null];
    const held = (one: Split | null) => (one === "val" || one === "test" ? "held" : one);
    return labels[i] === label && (label === null || held(splits[i] ?? null) === held(split));
  });

test("trees of ordinary names are read as they were meant, without asking", () => {
  fc.assert(
    fc.property(caseOf(plainNames), (made) => {
      const candidate = first(tree(made.paths, { others: made.others }));
      expect(candidate.doubt).toBeNull();
      expect(isTrue(made, candidate)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["any names", anyNames],
  ["names that are words of the trade", fc.oneof(trickyNames, plainNames)],
])("trees of %s are never read wrongly in silence", (_, name) => {
  fc.assert(
    fc.property(caseOf(name), (made) => {
      const [candidate] = readLayout(tree(made.paths, { others: made.others })).candidates;
      if (candidate?.doubt === null) expect(isTrue(made, candidate)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("where a tree of any names is in doubt, the truth is among the choices", () => {
  fc.assert(
    fc.property(caseOf(anyNames), (made) => {
      const { candidates } = readLayout(tree(made.paths, { others: made.others }));
      expect(candidates.some((candidate) => isTrue(made, candidate))).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("trees of domains and of hierarchies are always asked, and the truth is among the choices", () => {
  const made = fc.record({
    domains: fc.uniqueArray(fc.constantFrom("photo", "sketch", "clip art", "Real World", "写真", "amazon"), {
      minLength: 2,
      maxLength: 5,
    }),
    classes: classesOf(plainNames),
    wrapper: wrappers,
    below: fc.constantFrom("", "/train"),
    same: fc.boolean(),
  });
  fc.assert(
    fc.property(made, ({ domains, classes, wrapper, below, same }) => {
      const paths = domains.flatMap((domain, d) =>
        each([wrapper + domain + below], same ? classes : classes.map((name) => `${name} ${"abcde"[d]}`)),
      );
      const { candidates } = readLayout(tree(paths));
      expect(candidates[0]?.doubt).not.toBeNull();
      const kinds = candidates.map(({ kind }) => kind);
      expect(kinds).toContain(same ? "domains" : "leaves");
    }),
    { numRuns: 300 },
  );
});

test("50,000 names are read in a second or two, and 200,000 in proportion", () => {
  const paths = Array.from(
    { length: 50_000 },
    (_, i) => `drop/${i % 5 ? "train" : "val"}/class ${Math.floor(i / 50)}/${i}.jpg`,
  );
  const began = performance.now();
  expect(first(tree(paths)).doubt).toBeNull();
  expect(performance.now() - began).toBeLessThan(5_000);
});
