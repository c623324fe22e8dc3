import { test } from './fixtures'
test('perf', async ({ enter }) => {
  test.setTimeout(100000)
  const { page } = await enter('olu')
  let calls = 0
  await page.route(/\/api\/v1\/secrets\?/, (route) => {
    calls++
    const from = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0)
    const items = Array.from({ length: 500 }, (_, n) => ({ id: `i_${from + n}`, secret: `file/prod/service-${from + n}/password`, connection: 'file', cluster: 'demo', provider: 'file', ref: 'x', labels: { Team: `team-${n % 40}`, Environment: 'prod', tier: '3' }, age_days: n, first_seen_at: '2026-11-20T10:00:00Z', last_seen_at: '2026-11-20T10:00:00Z', status: 'present', seq: 1 }))
    return route.fulfill({ json: { items, next: String(from + 500) } })
  })
  await page.goto('/inventory')
  await page.getByText('service-0/').waitFor()
  await page.waitForTimeout(1000)
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Profiler.enable')
  await cdp.send('Profiler.start')
  const out = await page.evaluate(async () => {
    const v = document.querySelector<HTMLElement>('[role="table"] [role="rowgroup"]:last-child')!
    const log: string[] = []
    const t0 = performance.now()
    for (let f = 1; f <= 100000 && performance.now() - t0 < 20000; f++) {
      v.scrollTop = v.scrollHeight
      await new Promise((d) => requestAnimationFrame(d))
      if (f % 20 === 0) log.push(`${f} ${Math.round(performance.now() - t0)}ms h=${v.scrollHeight} rows=${v.querySelectorAll('[role="row"]').length}`)
    }
    return log
  })
  const { profile } = await cdp.send('Profiler.stop')
  const self = new Map<string, number>()
  const dt = profile.timeDeltas ?? []
  const byId = new Map(profile.nodes.map((n) => [n.id, n]))
  profile.samples?.forEach((id, i) => { const n = byId.get(id)!; const k = `${n.callFrame.functionName} ${n.callFrame.url.split('/').pop()}:${n.callFrame.lineNumber}:${n.callFrame.columnNumber}`; self.set(k, (self.get(k) ?? 0) + (dt[i] ?? 0)) })
  console.log(out.slice(0, 5).join('\n'), '\n...', out.slice(-8).join('\n'), 'calls', calls)
  console.log([...self].sort((a, b) => b[1] - a[1]).slice(0, 25).map(([k, t]) => `${Math.round(t / 1000)}ms ${k}`).join('\n'))
})
