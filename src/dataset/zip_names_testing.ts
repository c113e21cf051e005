// Names for tests: words of many languages, and their bytes in the encodings that zips of those languages have.
import { decoderOf } from "./zip_names.ts";

/** Bytes of every letter of an encoding, found by decoding all there are of one and two bytes. */
const encoders = new Map<string, Map<string, number[]>>();
export function encode(text: string, label: string): Uint8Array | null {
  if (label === "utf-8") return new TextEncoder().encode(text);
  let table = encoders.get(label);
  if (!table) {
    table = new Map();
    const decode = decoderOf(label);
    const add = (...bytes: number[]) => {
      const char = decode(Uint8Array.from(bytes));
      if ([...char].length === 1 && char !== "\ufffd" && !table?.has(char)) table?.set(char, bytes);
    };
    for (let a = 0; a < 256; a++) add(a);
    if (/jis|gb|big|euc/.test(label)) {
      for (let a = 0x81; a < 0xff; a++) for (let b = 0x40; b < 0xff; b++) add(a, b);
    }
    encoders.set(label, table);
  }
  const bytes = [...text].map((char) => table.get(char));
  return bytes.includes(undefined) ? null : Uint8Array.from((bytes as number[][]).flat());
}

// biome-ignore format: one line a language
const words: [language: string, encodings: string[], words: string][] = [
  ["ja", ["shift_jis", "euc-jp"], "犬 猫 鳥 馬 表示 ソース 予定 りんご バナナ 自転車 自動車 飛行機 桜 ひまわり カブトムシ 正常 異常 不良品 良品 傷 欠け 汚れ 訓練 検証 テスト 男性 女性 富士山 寿司 ラーメン 構造 能力 十字 柴犬 三毛猫"],
  ["zh-Hans", ["gb18030"], "猫 狗 鸟 鱼 苹果 香蕉 汽车 自行车 飞机 轮船 玫瑰 向日葵 正常 异常 裂纹 划痕 训练集 测试集 验证集 可回收物 厨余垃圾 有害垃圾 其他垃圾 大熊猫 老虎 小麦 水稻 病斑 晴天 阴天 猪 牛 羊 鸡 鸭"],
  ["zh-Hant", ["big5"], "貓 狗 鳥 魚 蘋果 香蕉 汽車 腳踏車 飛機 輪船 玫瑰 向日葵 正常 異常 裂縫 刮痕 訓練 測試 驗證 資源回收 廚餘 一般垃圾 黑熊 老虎 蝴蝶 功能 許可 蓋子 鳳梨 芒果 豬 牛 羊 雞"],
  ["ko", ["euc-kr"], "고양이 강아지 새 말 소 돼지 사과 바나나 자동차 자전거 비행기 장미 해바라기 정상 불량 균열 훈련 검증 시험 사람 남자 여자 김치 비빔밥 호랑이 토끼 나비 은행나무 소나무 가방 신발 모자"],
  ["de", ["windows-1252", "cp850", "cp437"], "Äpfel Größe Hündin Vögel Löwe Käfer Möhre Gemüse Brötchen Straße Flüsse Bäume Schlüssel Tür Küche Büro Grün weiß Übung Prüfung Zubehör Süßkartoffel Bär Kröte Frösche Züge Räder Schäden Öl"],
  ["fr", ["windows-1252", "cp850", "cp437"], "café thé éléphant chêne forêt pêche crème brûlée Éclair hélicoptère vélo château fenêtre légumes bébé zèbre guépard lièvre mésange hérisson télé entraînement évaluation défaut rayé cassé chaîne île"],
  ["es", ["windows-1252", "cp850"], "niño niña león pájaro ratón árbol camión avión limón melón plátano champiñón señal montaña araña tiburón delfín jardín máquina teléfono sillón cráneo corazón prueba validación pingüino"],
  ["pl", ["windows-1250", "cp852", "iso-8859-2"], "żółw łoś niedźwiedź kaczka gęś wąż ryś słoń jabłko gruszka śliwka książka łódź żaba pszczoła źrebię królik dąb świerk róża mięso chleb ciężarówka ćma zając wiewiórka sędzia"],
  ["cs", ["windows-1250", "cp852"], "kůň kočka žába švestka třešeň růže čáp ježek lišák medvěd ptáček ryba myš šnek želva vůz loď letadlo běžec dům strom květina hřib muchomůrka špatný dobrý"],
  ["ru", ["ibm866", "windows-1251", "koi8-u"], "кошка собака птица рыба лошадь корова яблоко груша машина велосипед самолёт корабль роза подсолнух норма брак трещина царапина обучение проверка тест человек мужчина женщина гриб берёза дуб медведь заяц"],
  ["uk", ["windows-1251", "koi8-u"], "кішка собака птах риба кінь корова яблуко груша автомобіль велосипед літак троянда соняшник їжак ведмідь заєць дуб береза пшениця сонце людина"],
  ["el", ["cp737", "windows-1253"], "γάτα σκύλος πουλί ψάρι άλογο αγελάδα μήλο αχλάδι αυτοκίνητο ποδήλατο αεροπλάνο τριαντάφυλλο ηλίανθος δέντρο λουλούδι άνθρωπος καλό κακό"],
  ["tr", ["windows-1254", "cp857"], "kuş köpek balık çiçek ağaç yeşil sarı kırmızı şeker üzüm çilek kaplumbağa aslan sığır koyun eşek tavşan güvercin örümcek çatlak bozuk sağlam göz"],
  ["he", ["cp862", "windows-1255"], "חתול כלב ציפור דג סוס פרה תפוח בננה מכונית אופניים מטוס ורד עץ פרח איש אישה תקין פגום"],
  ["th", ["windows-874"], "แมว หมา นก ปลา ม้า วัว แอปเปิ้ล กล้วย รถยนต์ จักรยาน เครื่องบิน กุหลาบ ทานตะวัน ต้นไม้ คน ปกติ เสีย"],
];
export const wordLists = words.map(([language, labels, list]) => ({
  language,
  labels,
  list: list.split(" "),
}));
