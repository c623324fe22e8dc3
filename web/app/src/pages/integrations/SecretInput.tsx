import { PasswordInput } from '@mantine/core'

interface Props {
  label: string
  description: string
  value: string
  change: (value: string) => void
}

/** A secret that goes to the server once and never comes back. No manager of passwords is to keep it. */
export function SecretInput({ label, description, value, change }: Props) {
  return (
    <PasswordInput
      label={label}
      description={description}
      required
      withAsterisk={false}
      autoComplete="off"
      data-1p-ignore
      spellCheck={false}
      maxLength={4096}
      value={value}
      onChange={(event) => change(event.currentTarget.value)}
      visibilityToggleButtonProps={{ 'aria-label': `Show or hide: ${label.toLowerCase()}` }}
    />
  )
}
