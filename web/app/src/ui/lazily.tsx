import { type ComponentType, lazy, type ReactNode, Suspense } from 'react'

/**
 * lazily is a component that is fetched when it is first shown, such as a dialog: what a page needs for
 * its first paint is little. `meanwhile` is shown until it is here.
 */
export function lazily<Name extends string, Props extends object>(
  load: () => Promise<Record<Name, ComponentType<Props>>>,
  name: Name,
  meanwhile?: ReactNode,
): ComponentType<Props> {
  const Part = lazy(async () => ({ default: (await load())[name] as ComponentType<object> }))
  return (props) => (
    <Suspense fallback={meanwhile}>
      <Part {...props} />
    </Suspense>
  )
}
