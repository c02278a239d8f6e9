import { createRoot } from 'react-dom/client'
import { must } from '../base/assert.ts'
import { App } from './app.tsx'
import './tokens.css'
import './page.css'
import './river.css'
import './drawer.css'

createRoot(must(document.getElementById('root'), 'the element #root')).render(<App />)
