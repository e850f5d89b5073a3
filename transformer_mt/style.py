"""How all pictures look: the colours of Okabe and Ito (2008), told apart by colour-blind readers and in print."""

BLUE, ORANGE, GREEN, INK, GRID = "#0072B2", "#D55E00", "#009E73", "#333333", "#E4E4E4"
PNG_DOTS_PER_INCH = 130
