import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

/** Where `make run` serves the API, for `npm run dev`. */
const server = process.env.SB_SERVER ?? 'https://127.0.0.1:8443'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist/site',
    emptyOutDir: true,
    manifest: 'manifest.json', // for the test of its budgets
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // those that know light-dark() themselves
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      // Libraries fall back to Node's crypto where there is no WebCrypto; browsers have it.
      onLog: (level, log, say) => {
        if (!log.message.startsWith('Module "crypto" has been externalized')) say(level, log)
      },
    },
  },
  server: {
    proxy: { '/api': { target: server, secure: false } },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/testing.ts'],
  },
})
