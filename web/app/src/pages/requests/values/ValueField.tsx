import { ActionIcon, FileInput, Group, NativeSelect, Stack, Textarea, Tooltip } from '@mantine/core'
import { IconEye, IconEyeOff, IconFile } from '@tabler/icons-react'
import { type Ref, useImperativeHandle, useRef, useState } from 'react'
import { maxProposed } from '../../../seal'
import { Fault, type Read } from './sealing'
import classes from './Values.module.css'

/** How a value is given: as a text, as JSON of another kind, or as a file of text. */
type Kind = 'text' | 'json' | 'file'

/** ValueHandle is the way to what was typed: it is read when it is sealed, and is in no state until then. */
export interface ValueHandle {
  /** Errors: Fault. The bytes are the caller's to wipe. */
  read: () => Promise<Read>
  /** Takes away what was typed. */
  clear: () => void
}

interface Props {
  /** The key of the secret that it is for. */
  name: string
  label?: string
  error?: string | undefined
  onEdit: () => void
  ref: Ref<ValueHandle>
}

/** A value as somebody types it: out of sight unless they want to see it. */
export function ValueField({ name, label = `Value of ${name}`, error, onEdit, ref }: Props) {
  const [kind, setKind] = useState<Kind>('text')
  const [shown, setShown] = useState(false)
  const [file, setFile] = useState<File | null>(null) // where it lies; what is in it is read when it is sealed
  const field = useRef<HTMLTextAreaElement>(null)
  useImperativeHandle(ref, () => ({
    read: () => (kind === 'file' ? readFile(name, file) : readText(name, kind, field.current)),
    clear() {
      if (field.current) field.current.value = ''
      setFile(null)
      setShown(false)
    },
  }))
  const show = shown ? 'Hide what you type' : 'Show what you type'
  return (
    <Group gap="xs" align="flex-start" wrap="nowrap">
      <Stack gap={4} flex={1} miw={0}>
        {kind === 'file' ? (
          <FileInput
            aria-label={label}
            placeholder="Choose a file of text"
            leftSection={<IconFile size={16} aria-hidden />}
            value={file}
            clearable
            error={error}
            onChange={(chosen) => {
              setFile(chosen)
              onEdit()
            }}
          />
        ) : (
          <Textarea
            ref={field}
            aria-label={label}
            rows={kind === 'json' ? 4 : 1}
            placeholder={kind === 'json' ? '{"port": 5432}' : 'The new value'}
            classNames={{ input: classes.typed ?? '' }}
            data-hidden={shown ? undefined : true}
            error={error}
            onInput={onEdit}
            // Nothing keeps, completes, corrects or sends away what is typed here.
            autoComplete="off"
            autoCorrect="off"
            autoCapitalize="off"
            spellCheck={false}
            data-1p-ignore
            data-lpignore="true"
          />
        )}
      </Stack>
      {kind !== 'file' && (
        <Tooltip label={show}>
          <ActionIcon
            variant="default"
            size={36}
            aria-label={`${show} for ${name || 'this key'}`}
            onClick={() => setShown(!shown)}
          >
            {shown ? <IconEyeOff size={17} /> : <IconEye size={17} />}
          </ActionIcon>
        </Tooltip>
      )}
      <NativeSelect
        aria-label={`Kind of the value of ${name || 'this key'}`}
        w={84}
        value={kind}
        onChange={(event) => {
          setKind(event.currentTarget.value as Kind)
          onEdit()
        }}
        data={[
          { value: 'text', label: 'Text' },
          { value: 'json', label: 'JSON' },
          { value: 'file', label: 'File' },
        ]}
      />
    </Group>
  )
}

async function readText(name: string, kind: 'text' | 'json', field: HTMLTextAreaElement | null): Promise<Read> {
  const text = field?.value ?? ''
  if (text === '') throw new Fault(name, 'Type the new value.')
  if (/\p{Surrogate}/u.test(text)) throw new Fault(name, 'This holds half a character; type it again.')
  return { kind, bytes: new TextEncoder().encode(text) }
}

async function readFile(name: string, file: File | null): Promise<Read> {
  if (!file) throw new Fault(name, 'Choose a file.')
  if (file.size > maxProposed) throw new Fault(name, 'This is too long: a value has 512 KiB at most.')
  try {
    return { kind: 'text', bytes: new Uint8Array(await file.arrayBuffer()) }
  } catch {
    throw new Fault(name, 'The file cannot be read any more; choose it again.')
  }
}
