import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  globalSetup: './e2e/stack.ts',
  fullyParallel: true,
  workers: 2,
  retries: 1, // a busy machine may be too slow once; the report names what needed it
  timeout: 60_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  reporter: [['list']],
  use: {
    ignoreHTTPSErrors: true, // the development CA is made by the server that the tests start
    viewport: { width: 1360, height: 860 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    actionTimeout: 15_000,
    launchOptions: {
      executablePath: process.env.SB_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    { name: 'app', testMatch: '*.spec.ts' },
    { name: 'screenshots', testMatch: 'screenshots.ts', fullyParallel: false },
  ],
})
