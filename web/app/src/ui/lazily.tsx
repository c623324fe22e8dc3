import { type ComponentType, lazy, Suspense } from 'react'

/**
 * lazily is a component that is fetched when it is first shown, such as a dialog: what a page needs for
 * its first paint is little. Nothing is shown until it is here.
 */
export function lazily<Name extends string, Props extends object>(
  load: () => Promise<Record<Name, ComponentType<Props>>>,
  name: Name,
): ComponentType<Props> {
  const Part = lazy(async () => ({ default: (await load())[name] as ComponentType<object> }))
  return (props) => (
    <Suspense>
      <Part {...props} />
    </Suspense>
  )
}
