import { Checkbox, SimpleGrid, TextInput } from '@mantine/core'
import { type NoticeKind, noticeWords } from '../../parts/noticeWords'

export interface Told {
  /** None is all. */
  notices: NoticeKind[]
  /** Names, as they are typed; none is all. */
  projects: string
}

const kinds = Object.keys(noticeWords) as NoticeKind[]

/** What an integration is told, and of which projects. */
export function ToldInputs({ value, change }: { value: Told; change: (to: Told) => void }) {
  return (
    <>
      <TextInput
        label="Projects"
        description="Names, apart by spaces. Without any, it is told of all."
        value={value.projects}
        maxLength={2100}
        onChange={(event) => change({ ...value, projects: event.currentTarget.value })}
      />
      <Checkbox.Group
        label="It is told"
        description="Without any, it is told everything."
        value={value.notices}
        onChange={(notices) => change({ ...value, notices: notices as NoticeKind[] })}
      >
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing={8} mt={8}>
          {kinds.map((kind) => (
            <Checkbox key={kind} value={kind} label={noticeWords[kind]} />
          ))}
        </SimpleGrid>
      </Checkbox.Group>
    </>
  )
}
