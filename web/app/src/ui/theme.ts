import { createTheme, defaultVariantColorsResolver, type ModalProps, type TooltipProps } from '@mantine/core'
import classes from './theme.module.css'

/** The look of everything: one accent, quiet greys, and contrast that holds in both schemes (WCAG 2.2, 1.4.3). */
export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 8, dark: 8 },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily: 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.375rem', lineHeight: '1.3' },
      h2: { fontSize: '1.0625rem', lineHeight: '1.4' },
      h3: { fontSize: '0.9375rem', lineHeight: '1.4' },
    },
  },
  variantColorResolver(input) {
    const colors = defaultVariantColorsResolver(input)
    if (input.variant !== 'light' && input.variant !== 'subtle') return colors
    const name = input.color ?? input.theme.primaryColor
    // The default text of these variants is too pale on their own background.
    return name in input.theme.colors
      ? {
          ...colors,
          color: `light-dark(color-mix(in srgb, var(--mantine-color-${name}-9), black 35%), var(--mantine-color-${name}-2))`,
        }
      : colors
  },
  components: {
    Badge: { defaultProps: { variant: 'light', tt: 'none', fw: 500, radius: 'sm' } },
    Button: { defaultProps: { size: 'sm' } },
    TextInput: { defaultProps: { size: 'sm' } },
    // As plain data: a component that is named here is in the first paint of every page.
    Modal: {
      defaultProps: {
        centered: true,
        closeButtonProps: { 'aria-label': 'Close' },
        overlayProps: { backgroundOpacity: 0.5 },
      } satisfies Partial<ModalProps>,
    },
    Drawer: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
    Tooltip: {
      defaultProps: {
        multiline: true,
        maw: 320,
        openDelay: 200,
        events: { hover: true, focus: true, touch: true },
      } satisfies Partial<TooltipProps>,
    },
    Anchor: { defaultProps: { underline: 'always' }, classNames: { root: classes.anchor } },
  },
})
