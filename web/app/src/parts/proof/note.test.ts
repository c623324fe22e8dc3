import { describe, expect, it } from 'vitest'
import { readCheckpoint } from './note'

const own = btoa('\x01\x02\x03\x04'.padEnd(4 + 64, 'x'))
const witnessed = btoa(`\x01\x02\x03\x04\0\0\0\0${'\x65\x92\x00\x80'}`.padEnd(4 + 8 + 64, 'x'))
const text = `secrets-bridge/log\n48211\ncm9vdA==\n\n— secrets-bridge/log ${own}\n— witness.example/w1 ${witnessed}\n`

describe('readCheckpoint', () => {
  it('tells the log, its size and who signed it when', () => {
    expect(readCheckpoint(text)).toEqual({
      origin: 'secrets-bridge/log',
      size: 48211,
      root: 'cm9vdA==',
      signers: [{ name: 'secrets-bridge/log' }, { name: 'witness.example/w1', at: new Date('2024-01-01T00:00:00Z') }],
    })
  })

  it.each([
    ['nothing', ''],
    ['a page of a proxy', '<html>\n\n</html>\n'],
    ['no size', text.replace('48211', 'many')],
    ['a size with a leading zero', text.replace('48211', '048211')],
    ['a line too many', text.replace('cm9vdA==\n', 'cm9vdA==\nmore\n')],
    ['no signature', 'secrets-bridge/log\n48211\ncm9vdA==\n\n'],
    ['a signature line of another form', text.replace('— witness.example/w1', 'witness.example/w1')],
  ])('reads no checkpoint from %s', (_, other) => {
    expect(readCheckpoint(other)).toBeUndefined()
  })
})
