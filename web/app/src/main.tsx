import { nonce } from './boot'
import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import './ui/global.css'
import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { makeCache } from './api/cache'
import { router } from './routes'
import { takeLink } from './session/link'
import { clock } from './session/renewal'
import { Notices } from './ui/notices'
import { theme } from './ui/theme'
import { tellTime } from './ui/When'

tellTime(clock.now)
takeLink()

const place = document.getElementById('root')
if (!place) throw new Error('there is no place for the application in this page')

createRoot(place).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <QueryClientProvider client={makeCache()}>
        <Notices />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
