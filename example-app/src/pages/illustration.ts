import { type Html, html } from '../html.ts'

/** A product's picture. It is decoration, because the name stands beside it. */
export function illustration(picture: string): Html {
  return html`<svg class="art art-${picture}" viewBox="0 0 200 160" aria-hidden="true">${drawings.get(picture)}</svg>`
}

const shadow = (x: number, width: number) =>
  html`<ellipse cx="${x}" cy="132" rx="${width}" ry="6" fill="#000" opacity=".14"/>`

const drawings = new Map<string, Html>([
  [
    'mug',
    html`${shadow(106, 56)}
      <g fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".55">
        <path d="M86 42c-7-8 7-12 0-20"/><path d="M108 42c-7-8 7-12 0-20"/>
      </g>
      <path d="M134 70h8a19 19 0 0 1 0 38h-8" fill="none" stroke="#27466f" stroke-width="10"/>
      <path d="M60 56h76v64a12 12 0 0 1-12 12H72a12 12 0 0 1-12-12z" fill="#fbf7ee"/>
      <path d="M112 56h24v64a12 12 0 0 1-12 12h-12z" fill="#e9e2d3"/>
      <rect x="55" y="50" width="86" height="11" rx="5.5" fill="#27466f"/>
      <g fill="#27466f" opacity=".75">
        <circle cx="72" cy="78" r="2"/><circle cx="88" cy="92" r="1.5"/><circle cx="78" cy="112" r="2"/>
        <circle cx="102" cy="76" r="1.5"/><circle cx="104" cy="108" r="2"/><circle cx="124" cy="88" r="2"/>
        <circle cx="120" cy="118" r="1.5"/>
      </g>`,
  ],
  [
    'lamp',
    html`${shadow(88, 44)}
      <path d="M121 62l58 70H92z" fill="#fff3b8" opacity=".55"/>
      <g fill="none" stroke="#2d3142" stroke-width="6" stroke-linecap="round">
        <path d="M88 126L74 74"/><path d="M50 92L124 44"/>
      </g>
      <circle cx="47" cy="94" r="11" fill="#e2563d"/>
      <circle cx="74" cy="76" r="6" fill="#f4f1ea"/>
      <path d="M104 64l19-42 44 24-33 29z" fill="#e2563d"/>
      <path d="M104 64l30 11 33-29 4 8-32 30-36-12z" fill="#b93f2a"/>
      <rect x="58" y="122" width="60" height="10" rx="5" fill="#2d3142"/>`,
  ],
  [
    'can',
    html`${shadow(106, 52)}
      <path d="M84 112L38 58" stroke="#3f7d5b" stroke-width="10" stroke-linecap="round"/>
      <path d="M26 64l22-20 6 7-22 20z" fill="#2f6247"/>
      <g fill="#fff" opacity=".7"><circle cx="24" cy="84" r="2.5"/><circle cx="32" cy="96" r="2.5"/>
        <circle cx="18" cy="102" r="2.5"/></g>
      <path d="M92 66c4-44 62-40 62 2 0 22-10 34-20 42" fill="none" stroke="#2f6247" stroke-width="8" stroke-linecap="round"/>
      <path d="M78 64h58l6 60a8 8 0 0 1-8 8H80a8 8 0 0 1-8-8z" fill="#4f976f"/>
      <path d="M118 64h18l6 60a8 8 0 0 1-8 8h-16z" fill="#3f7d5b"/>
      <path d="M76 84h62l1 9H75z" fill="#f3d68a"/>`,
  ],
  [
    'kite',
    html`<g fill="#fff" opacity=".5">
        <path d="M18 116a12 12 0 0 1 20-8 15 15 0 0 1 27 5 9 9 0 0 1 1 17H26a9 9 0 0 1-8-14z"/>
        <path d="M150 34a8 8 0 0 1 14-5 10 10 0 0 1 18 4 6 6 0 0 1 0 11h-26a6 6 0 0 1-6-10z"/>
      </g>
      <path d="M92 106c-20 8-6 22-24 26s-16 16-28 18" fill="none" stroke="#4a3a5e" stroke-width="3" stroke-linecap="round"/>
      <g fill="#f2b441"><path d="M64 126l-10-2 2 12zM66 130l10 4-8 7z"/><path d="M86 118l-10-4 0 12zM86 118l9 5-10 6z"/></g>
      <path d="M128 14L94 60l-24-8z" fill="#e2563d"/><path d="M128 14l14 62-48-16z" fill="#f2b441"/>
      <path d="M94 60l-2 48-22-56z" fill="#f2b441"/><path d="M94 60l48 16-50 32z" fill="#e2563d"/>
      <path d="M128 14L92 108M70 52l72 24" stroke="#4a3a5e" stroke-width="2.5" fill="none"/>`,
  ],
  [
    'radio',
    html`${shadow(100, 66)}
      <path d="M58 52L34 20" stroke="#4b4f58" stroke-width="4" stroke-linecap="round"/><circle cx="34" cy="20" r="4" fill="#4b4f58"/>
      <rect x="52" y="124" width="14" height="9" rx="3" fill="#4a2f1f"/><rect x="134" y="124" width="14" height="9" rx="3" fill="#4a2f1f"/>
      <rect x="34" y="50" width="132" height="78" rx="14" fill="#8d5d3d"/>
      <path d="M34 100v14a14 14 0 0 0 14 14h104a14 14 0 0 0 14-14v-14z" fill="#7a4e32"/>
      <rect x="44" y="60" width="70" height="58" rx="8" fill="#f5ead6"/>
      <g stroke="#b89f7d" stroke-width="3" stroke-linecap="round">
        <path d="M54 72h50M54 81h50M54 90h50M54 99h50M54 108h50"/>
      </g>
      <circle cx="140" cy="76" r="15" fill="#f5ead6"/><circle cx="140" cy="76" r="9" fill="#d9c7a8"/>
      <path d="M140 76l6-8" stroke="#e2563d" stroke-width="3" stroke-linecap="round"/>
      <circle cx="130" cy="108" r="7" fill="#f5ead6"/><circle cx="151" cy="108" r="7" fill="#f5ead6"/>`,
  ],
  [
    'pot',
    html`${shadow(102, 44)}
      <path d="M130 56h20a5 5 0 0 1 5 6l-7 40" fill="none" stroke="#2b2d35" stroke-width="9" stroke-linecap="round" stroke-linejoin="round"/>
      <path d="M72 50l-16 5 18 18z" fill="#a9b3bb"/>
      <path d="M72 50h60l-8 36H80z" fill="#cfd7dc"/><path d="M108 50h24l-8 36h-14z" fill="#b5c0c7"/>
      <rect x="76" y="84" width="52" height="8" rx="3" fill="#8c979f"/>
      <path d="M80 92h44l10 40H70z" fill="#cfd7dc"/><path d="M110 92h14l10 40h-20z" fill="#b5c0c7"/>
      <path d="M70 50c4-10 18-14 32-14s28 4 32 14z" fill="#e1e7ea"/>
      <rect x="96" y="24" width="12" height="14" rx="5" fill="#2b2d35"/>
      <circle cx="88" cy="112" r="4" fill="#8c979f"/>`,
  ],
  [
    'throw',
    html`${shadow(100, 66)}
      <rect x="38" y="100" width="124" height="30" rx="13" fill="#3d5a80"/>
      <rect x="42" y="74" width="118" height="30" rx="13" fill="#54759f"/>
      <rect x="40" y="48" width="122" height="30" rx="13" fill="#3d5a80"/>
      <path d="M70 48h16v82H70z" fill="#f1dcc0"/><path d="M92 48h7v82h-7z" fill="#e98a6b"/>
      <g stroke="#2c425f" stroke-width="2" opacity=".5"><path d="M44 78h114M44 103h114"/></g>
      <g stroke="#a8703f" stroke-width="3" stroke-linecap="round">
        <path d="M162 108l8 1M163 115l8 1M162 122l8 2M161 82l8 1M161 90l8 1M161 96l7 2M163 56l8 1M163 63l8 1M162 70l8 2"/>
      </g>`,
  ],
  [
    'blocks',
    html`${shadow(100, 66)}
      <rect x="38" y="92" width="40" height="40" rx="3" fill="#e2563d"/><path d="M68 92h7a3 3 0 0 1 3 3v34a3 3 0 0 1-3 3h-7z" fill="#c2452e"/>
      <path d="M82 92h80v40h-22a18 18 0 0 0-36 0H82z" fill="#f2b441"/><path d="M150 92h12v40h-12z" fill="#dd9d2b"/>
      <rect x="60" y="56" width="36" height="36" rx="3" fill="#3d7ea6"/><path d="M86 56h7a3 3 0 0 1 3 3v30a3 3 0 0 1-3 3h-7z" fill="#2f678a"/>
      <path d="M126 52l32 40H94z" fill="#4f976f"/><path d="M126 52l32 40h-14z" fill="#3f7d5b"/>
      <circle cx="78" cy="40" r="16" fill="#e9c9a1"/><path d="M78 24a16 16 0 0 1 0 32 24 24 0 0 0 0-32z" fill="#d5b185"/>`,
  ],
  [
    'basket',
    html`<path d="M60 70c0-56 80-56 80 0" fill="none" stroke="currentColor" stroke-width="6" opacity=".35"/>
      <path d="M44 70h112l-12 52a10 10 0 0 1-10 8H66a10 10 0 0 1-10-8z" fill="currentColor" opacity=".16"/>
      <g fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round" opacity=".35">
        <path d="M42 70h116"/><path d="M78 86l4 28M100 86v28M122 86l-4 28"/>
      </g>`,
  ],
])
