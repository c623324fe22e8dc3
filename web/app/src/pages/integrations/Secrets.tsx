import { Stack, Text } from '@mantine/core'
import { useState } from 'react'
import type { Integration } from '../../api/integrations'
import { Section } from '../../parts/Facts'
import classes from '../../parts/Rows.module.css'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { When } from '../../ui/When'
import { type Secret, secretWords } from './integrationWords'

const RotateDialog = lazily(() => import('./RotateDialog'), 'RotateDialog')

interface Props {
  integration: Integration
  blocked: string | undefined
}

/** That there are secrets, since when, and the way to put others in their place. What they are is never shown. */
export function Secrets({ integration, blocked }: Props) {
  const [rotating, setRotating] = useState<Secret>()
  return (
    <Section title="Its secrets">
      <ul className={classes.list} aria-label="Its secrets">
        {integration.secrets.map(({ secret, set_at, overlap_until }) => (
          <li key={secret} className={classes.item}>
            <Stack gap={0} flex={1}>
              <Text fw={500}>{secretWords[secret]}</Text>
              <Text size="sm" c="dimmed">
                Set <When at={set_at} />
                {overlap_until && (
                  <>
                    ; the one before counts, too, until <When at={overlap_until} />
                  </>
                )}
              </Text>
            </Stack>
            <ActionButton
              size="xs"
              variant="default"
              blocked={blocked}
              onClick={() => setRotating(secret)}
              aria-label={`Rotate: ${secretWords[secret].toLowerCase()}`}
            >
              Rotate
            </ActionButton>
          </li>
        ))}
      </ul>
      {rotating && <RotateDialog name={integration.name} secret={rotating} close={() => setRotating(undefined)} />}
    </Section>
  )
}
