// The real control plane for all tests of one run: `sb-server dev` with its private Postgres, NATS and
// demo agent, in a folder of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFile, chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A start makes a database, a CA and an agent. */
const patience = 120_000

export const password = 'demo-password-of-the-browser-tests'

export default async function setUp(): Promise<() => Promise<void>> {
  const { url, dir, end } = await start()
  process.env.SB_WEB_URL = url
  process.env.SB_WEB_DIR = dir
  return end
}

/** start runs a control plane of its own, for tests that change what holds for everybody. */
export async function start(): Promise<{ url: string; dir: string; end: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'sbweb-'))
  await chmod(dir, 0o711) // Postgres runs as another user and passes through
  const port = await freePort()
  const { server, log } = run(dir, port)
  try {
    await ready(server, log)
  } catch (error) {
    await stop(server)
    await rm(dir, { recursive: true, force: true })
    throw error
  }
  const end = async () => {
    await stop(server)
    if (process.env.SB_WEB_LOG) await appendFile(process.env.SB_WEB_LOG, log.join(''))
    await rm(dir, { recursive: true, force: true })
  }
  return { url: `https://localhost:${port}`, dir, end }
}

function run(dir: string, port: number) {
  const log: string[] = []
  const server = spawn(join(import.meta.dirname, '../../../bin/sb-server'), ['dev'], {
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SB_|VAULT_)/.test(name))),
      SB_DATA_DIR: join(dir, 'data'),
      SB_HTTP_ADDR: `127.0.0.1:${port}`,
      SB_DEMO_PASSWORD: password,
      SB_TRUSTED_PROXIES: '127.0.0.1', // each browser says which address it comes from
      SB_CALLS_PER_PERSON: '100000',
      SB_CALLS_PER_ADDRESS: '1000000',
      SB_OPEN_REQUESTS: '10000',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  server.stdout.on('data', (part) => log.push(String(part)))
  server.stderr.on('data', (part) => log.push(String(part)))
  return { server, log }
}

function ready(server: ChildProcess, log: string[]): Promise<void> {
  return new Promise((done, fail) => {
    const give = (why: string) => fail(new Error(`sb-server ${why}:\n${log.join('').slice(-4000)}`))
    const timer = setTimeout(() => give('did not start in time'), patience)
    server.once('error', (error) => give(`cannot be started (${error.message}); make build makes it`))
    server.once('exit', (code) => give(`ended with ${code}`))
    server.stdout?.on('data', () => {
      if (!log.join('').includes('Secrets Bridge runs at')) return
      clearTimeout(timer)
      server.removeAllListeners('exit')
      done()
    })
  })
}

function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return Promise.resolve()
  return new Promise((done) => {
    const timer = setTimeout(() => server.kill('SIGKILL'), 20_000)
    server.once('exit', () => {
      clearTimeout(timer)
      done()
    })
    server.kill('SIGTERM')
  })
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer()
    probe.once('error', fail)
    probe.listen(0, '127.0.0.1', () => {
      const at = probe.address()
      probe.close(() => (typeof at === 'object' && at ? done(at.port) : fail(new Error('no port'))))
    })
  })
}
