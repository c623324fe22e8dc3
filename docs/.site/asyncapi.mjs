// Has the official parser say whether docs/reference/asyncapi.yaml is AsyncAPI 3.0.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Parser } from '@asyncapi/parser'

const path = join(import.meta.dirname, '../reference/asyncapi.yaml')
const { document, diagnostics } = await new Parser().parse(await readFile(path, 'utf8'))
const wrong = diagnostics.filter((d) => d.severity <= 1) // errors and warnings
for (const d of wrong) console.error(`${d.path.join('.')}: ${d.message} (${d.code})`)
if (!document || wrong.length > 0) process.exit(1)
if (document.version() !== '3.0.0' || document.channels().all().length < 20) {
  console.error('it is read as something else than it is')
  process.exit(1)
}
console.log(`${document.channels().all().length} channels, ${document.operations().all().length} operations`)
