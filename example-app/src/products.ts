/** What the shop sells at first: the rows that the second migration inserts. */
export const firstProducts = [
  {
    picture: 'mug',
    name: 'Enamel mug',
    maker: 'Fieldside',
    blurb: 'Steel under two coats of enamel. It will outlive the dishwasher.',
    price_cents: 1_400,
  },
  {
    picture: 'lamp',
    name: 'Balance lamp',
    maker: 'Ostra',
    blurb: 'One counterweight, no springs. Stays wherever you leave it.',
    price_cents: 8_900,
  },
  {
    picture: 'can',
    name: 'Longneck watering can',
    maker: 'Havn Garden',
    blurb: 'Reaches the fern at the back without a step ladder.',
    price_cents: 3_600,
  },
  {
    picture: 'kite',
    name: 'Two-line kite',
    maker: 'Skerry',
    blurb: 'Ripstop nylon and a carbon spar. Flies from four knots up.',
    price_cents: 4_200,
  },
  {
    picture: 'radio',
    name: 'Kitchen radio',
    maker: 'Morgen',
    blurb: 'Two dials and a walnut case. Finds the news, and then the music.',
    price_cents: 11_900,
  },
  {
    picture: 'pot',
    name: 'Stovetop coffee pot',
    maker: 'Bialto',
    blurb: 'Six small cups, and a sound that wakes the house gently.',
    price_cents: 3_800,
  },
  {
    picture: 'throw',
    name: 'Merino throw',
    maker: 'Lowfell Mill',
    blurb: 'Woven in one piece on a loom older than most of us.',
    price_cents: 13_500,
  },
  {
    picture: 'blocks',
    name: 'Beech building blocks',
    maker: 'Klods',
    blurb: 'Forty blocks in oil colours. For towers, and for their fall.',
    price_cents: 2_800,
  },
] as const
