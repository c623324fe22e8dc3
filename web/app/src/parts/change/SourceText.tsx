import { Textarea } from '@mantine/core'
import { useState } from 'react'
import { useEditing } from './Editing'
import classes from './fields.module.css'
import { read, write } from './source'

interface Props {
  /** What is wrong with the text; while there is something, the draft is what it was before. */
  wrong: string | undefined
  setWrong: (why: string | undefined) => void
}

/** The object as a file of the governance says it. What can be read is the draft at once. */
export default function SourceText({ wrong, setWrong }: Props) {
  const { draft, act } = useEditing()
  const [text, setText] = useState(() => write(draft.kind, draft.name, draft.spec))
  return (
    <Textarea
      label="Text"
      description="YAML, as in files of the governance; JSON is read as well."
      classNames={{ input: classes.mono as string }}
      spellCheck={false}
      autosize
      minRows={14}
      maxRows={40}
      value={text}
      error={wrong}
      onChange={(event) => {
        const next = event.currentTarget.value
        setText(next)
        const said = read(next, draft.kind)
        if (said.wrong !== undefined) return setWrong(said.wrong)
        if (draft.base !== undefined && said.name !== draft.name) {
          return setWrong(`Its name stays ${draft.name}: another name is another object.`)
        }
        setWrong(undefined)
        act({ do: 'replace', name: said.name, spec: said.spec })
      }}
    />
  )
}
