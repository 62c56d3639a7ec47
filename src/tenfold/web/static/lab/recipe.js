/** Recipes as text, and runs of the command line as files. */

const SECTIONS = ["input", "network", "loss", "optimiser", "schedule", "training", "augmentation"];
const LEFT_OUT = { training: ["average_decay", "precision", "engine", "patience", "drop_last"] };

/** A recipe as TOML, which `tenfold train FILE` takes. */
export function toToml(recipe, name = "from-the-lab") {
  const lines = [`name = ${JSON.stringify(name)}`, `title = ${JSON.stringify(recipe.title ?? "From the lab")}`];
  lines.push('source = "tenfold lab"', `description = "Changed in the lab."`);
  for (const section of SECTIONS) {
    const entries = Object.entries(recipe[section] ?? {}).filter(([key, value]) => {
      return value !== null && value !== undefined && !LEFT_OUT[section]?.includes(key);
    });
    if (!entries.length) continue;
    lines.push("", `[${section}]`, ...entries.map(([key, value]) => `${key} = ${toValue(value)}`));
  }
  return `${lines.join("\n")}\n`;
}

function toValue(value) {
  if (Array.isArray(value)) {
    const inner = value.map(toValue);
    return inner.join(", ").length > 90 ? `[\n${inner.map((entry) => `  ${entry},\n`).join("")}]` : `[${inner.join(", ")}]`;
  }
  if (value && typeof value === "object") {
    return `{ ${Object.entries(value).map(([key, entry]) => `${key} = ${toValue(entry)}`).join(", ")} }`;
  }
  return JSON.stringify(value);
}

/** model.json and model.safetensors of a run -> {recipe, arrays}. Throws an Error that says what is missing. */
export async function readRun(files) {
  const find = (ending) => [...files].find(({ name }) => name.endsWith(ending));
  const [card, weights] = [find(".json"), find(".safetensors")];
  if (!card || !weights) throw new Error("expected two files of a run: model.json and model.safetensors");
  const { recipe } = JSON.parse(await card.text());
  if (!recipe?.network?.layers) throw new Error(`${card.name} holds no recipe; expected the model.json of a run`);
  return { recipe, arrays: parseSafetensors(await weights.arrayBuffer(), weights.name) };
}

/** name -> Float32Array. Format: 8 bytes of length, a JSON header, the numbers (github.com/huggingface/safetensors). */
export function parseSafetensors(buffer, name) {
  const view = new DataView(buffer), length = buffer.byteLength >= 8 ? Number(view.getBigUint64(0, true)) : Infinity;
  if (8 + length > buffer.byteLength) throw new Error(`${name} is not a safetensors file`);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const arrays = {};
  for (const [key, entry] of Object.entries(header)) {
    if (key === "__metadata__") continue;
    const [start, end] = entry.data_offsets.map((offset) => 8 + length + offset);
    if (end > buffer.byteLength) throw new Error(`${name} is cut off`);
    if (entry.dtype === "F32") arrays[key] = new Float32Array(buffer.slice(start, end));
    else if (entry.dtype === "F64") arrays[key] = Float32Array.from(new Float64Array(buffer.slice(start, end)));
    else if (entry.dtype === "F16") arrays[key] = Float32Array.from(new Uint16Array(buffer.slice(start, end)), half);
  }
  return arrays;
}

/** The number that sixteen bits stand for (IEEE 754). */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
