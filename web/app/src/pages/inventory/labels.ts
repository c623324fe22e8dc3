// Labels as the API takes them: NAME:VALUE. What stands before the first colon is the name; in it \: is a
// colon and \\ a backslash. The value is as it is (web/openapi.yaml, parameter SecretLabel).

export interface Label {
  name: string
  value: string
}

/** labelText writes a label as a filter. */
export function labelText({ name, value }: Label): string {
  return `${name.replace(/[\\:]/g, '\\$&')}:${value}`
}

/** parseLabel reads a filter; undefined if there is no name before a colon that stands for itself. */
export function parseLabel(text: string): Label | undefined {
  let name = ''
  for (let at = 0; at < text.length; at++) {
    const next = text[at + 1]
    if (text[at] === '\\' && (next === ':' || next === '\\')) {
      name += next
      at++
    } else if (text[at] === ':') {
      return name === '' ? undefined : { name, value: text.slice(at + 1) }
    } else {
      name += text[at]
    }
  }
  return undefined
}

/** labelsIn are the labels of an address that can be read. */
export const labelsIn = (texts: string[]): Label[] => texts.map(parseLabel).filter((label) => label !== undefined)

/** withLabel adds a label to a filter. A name is there once: another value takes the place of the one before. */
export function withLabel(texts: string[], label: Label): string[] {
  return [...labelsIn(texts).filter(({ name }) => name !== label.name), label].map(labelText)
}

/** withoutLabel takes a name out of a filter. */
export function withoutLabel(texts: string[], name: string): string[] {
  return labelsIn(texts)
    .filter((label) => label.name !== name)
    .map(labelText)
}

/** sorted are the labels of a secret by name. */
export const sorted = (labels: Record<string, string>): Label[] =>
  Object.entries(labels)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => a.name.localeCompare(b.name))

/** typedLabel is the label that somebody typed as a text, if one of these names is called so in any case. */
export function typedLabel(text: string, names: string[]): Label | undefined {
  const typed = parseLabel(text)
  const name = names.find((other) => other.toLowerCase() === typed?.name.trim().toLowerCase())
  const value = typed?.value.trim()
  return name && value ? { name, value } : undefined
}
