/** JSON as it is hashed: with sorted keys, without white space, and with characters that are not ASCII escaped. */

/** A value of JSON. Numbers are texts that begin with `=`, as they were written; other texts begin with `"`. */
export type Json = string | boolean | null | Json[] | { [key: string]: Json };

/** Return parsed JSON in which numbers are as they are written: 1.0 is not 1. */
export function parseJson(text: string): Json {
  const kept = text.replace(/"((?:[^"\\]|\\.)*)"|-?\d[\d.eE+-]*/g, (token, inner?: string) =>
    inner === undefined ? `"=${token}"` : `"\\"${inner}"`,
  );
  return JSON.parse(kept);
}

/** Return JSON as Python's `json.dumps(value, sort_keys=True, separators=(",", ":"))` writes it. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, of]) => `${canonicalJson(key)}:${canonicalJson(of)}`).join(',')}}`;
  }
  if (typeof value !== 'string') return String(value);
  if (value[0] === '=') return value.slice(1);
  return JSON.stringify(value.slice(1)).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Return some members of an object by their names. */
export function members(value: Json, names?: readonly string[]): { [key: string]: Json } {
  const object = value as { [key: string]: Json };
  const wanted = names?.map((name) => `"${name}`) ?? Object.keys(object);
  return Object.fromEntries(wanted.map((key) => [key, object[key]]));
}
