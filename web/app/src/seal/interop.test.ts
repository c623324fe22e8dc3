// @vitest-environment node
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { toBase64, utf8 } from './bytes'
import {
  type IntakeAnswer,
  newRecipient,
  openIntake,
  openRevealed,
  type ProposedFor,
  type ProposedKind,
  sealProposal,
} from './index'
import { root } from './testing'

/** Building the Go half takes most of it where nothing of it is cached. */
const patience = 120_000

/** Starts test/sealpeer: the control plane's end, by the Go code that the server runs. */
function startPeer() {
  const child = spawn('go', ['run', './test/sealpeer'], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  return {
    ended,
    say: (line: unknown) => child.stdin.end(`${JSON.stringify(line)}\n`),
    hear: async <T>() => JSON.parse((await lines.next()).value ?? 'null') as T,
  }
}

const place = { key: 'pässword', connection: 'file', ref: 'prod/db', me: 'u_1' }
const longest = new Uint8Array(524_287).fill(0x61)

test(
  'what this half seals the Go half opens, and the other way round',
  async () => {
    const peer = startPeer()
    const { intakes } = await peer.hear<{ intakes: IntakeAnswer[] }>()
    const proposed: [intake: number, kind: ProposedKind, value: Uint8Array, entry: Uint8Array][] = [
      [0, 'text', utf8('canary-7b'), utf8('canary-7b')],
      [0, 'text', utf8(''), utf8('')],
      [0, 'text', longest, longest],
      [0, 'json', utf8('{ "b": [1.50, "\\u00e9 ä"] , "a": null }'), utf8('{"b":[1.50,"\\u00e9 ä"],"a":null}')],
      [1, 'text', utf8('canary-7c'), utf8('canary-7c')],
    ]
    const proposals: { intake: number; for: ProposedFor; sealed: string }[] = []
    for (const [intake, kind, value] of proposed) {
      const to = await openIntake(intakes[intake] as IntakeAnswer, new Date())
      const bound: ProposedFor = { request: `idempotency-${proposals.length}`, ...place }
      proposals.push({ intake, for: bound, sealed: await sealProposal(to, bound, kind, value) })
    }
    const values = [utf8('canary-7d'), utf8(''), Uint8Array.of(0xff, 0, 1), new Uint8Array(524_288).fill(0x62)]
    const own = await Promise.all(values.map(() => newRecipient()))
    const revealed = { request: 'r_1', envelope: 'r_1.0', ...place, notAfter: '2027-01-02T03:04:05.75+01:00' }
    peer.say({
      proposals,
      reveals: values.map((value, i) => ({ recipient: own[i]?.text, for: revealed, value: toBase64(value) })),
    })

    const answer = await peer.hear<{ opened: { kind: string; value: string }[]; sealed: string[] }>()
    expect(await peer.ended).toBe(0)
    expect(answer.opened).toEqual(
      proposed.map(([, kind, , entry]) => ({ kind: kind === 'text' ? 's' : 'j', value: toBase64(entry) })),
    )
    const { signer } = await openIntake(intakes[0] as IntakeAnswer, new Date())
    for (const [i, value] of values.entries()) {
      const got = await openRevealed(own[i] as never, signer, revealed, answer.sealed[i] as string)
      expect(got.kind).toBe(i === 2 ? 'binary' : 'text')
      expect(toBase64(got.bytes) === toBase64(value), `value ${i}`).toBe(true)
    }
  },
  patience,
)
