// VitePress' own theme without its web fonts, with diagrams that follow the colour scheme, and a choice of versions.
import Theme from 'vitepress/theme-without-fonts'
import { h } from 'vue'
import Versions from './Versions.vue'
import './site.css'

export default {
  extends: Theme,
  Layout: () => h(Theme.Layout, null, { 'nav-bar-content-after': () => h(Versions) }),
}
