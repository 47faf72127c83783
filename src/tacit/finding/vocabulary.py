"""The English words that the finder knows: colours, places, parts, what people wear, and how things are called."""

from __future__ import annotations

COLOURS = {
    **{word: word for word in "red orange yellow green blue purple pink brown black white grey".split()},
    "gray": "grey",
    "crimson": "red",
    "scarlet": "red",
    "maroon": "red",
    "reddish": "red",
    "gold": "golden",
    "golden": "golden",
    "blond": "golden",
    "blonde": "golden",
    "yellowish": "yellow",
    "greenish": "green",
    "bluish": "blue",
    "navy": "blue",
    "turquoise": "cyan",
    "teal": "cyan",
    "cyan": "cyan",
    "aqua": "cyan",
    "violet": "purple",
    "lavender": "purple",
    "magenta": "pink",
    "wooden": "brown",
    "tan": "brown",
    "beige": "brown",
    "iron": "grey",
    "metal": "grey",
    "silver": "grey",
    "steel": "grey",
    "pearl": "white",
    "snowy": "white",
    "cloudy": "white",
    "ivory": "white",
}
"""The colour that a word means."""

WEAK_COLOURS = frozenset("wooden iron metal silver steel pearl snowy cloudy tan beige ivory blond blonde".split())
"""Words that say of what a thing is made, and so only roughly which colour it has."""

PLACES = {
    "left": (-1, 0),
    "leftmost": (-1, 0),
    "right": (1, 0),
    "rightmost": (1, 0),
    "top": (0, -1),
    "topmost": (0, -1),
    "upper": (0, -1),
    "bottom": (0, 1),
    "bottommost": (0, 1),
    "lower": (0, 1),
    "foreground": (0, 1),
    "background": (0, -1),
    "distance": (0, -1),
    "middle": (0, 0),
    "center": (0, 0),
    "centre": (0, 0),
}
"""Where in the frame a word points: across and down, -1 to 1."""

BESIDE_PLACES = frozenset("far hand side edge corner half end part border".split())
"""Words that stand beside those: "on the far right", "in the lower left corner", "on the left-hand side"."""

IMAGE = frozenset("image picture photo photograph frame".split())
"""What has these places."""

SIDES = PLACES.keys() - {"foreground", "background", "distance"}
"""The places that tell one thing from others of its kind."""

ORDINALS = {word: at for at, word in enumerate("first second third fourth fifth sixth".split())}
"""Words that count things from a side, and what they count."""

NEGATIONS = frozenset("no not without never neither nor".split())
"""Words before what is not in the image."""

WEARING = frozenset("in wearing with wears holding".split())
"""Words before what belongs to the thing that was named: clothes, what it has or holds."""

PARTS = frozenset(
    "wheel nose wing tail door window roof head face eye ear mouth hair hand arm leg foot paw beak handle knob top "
    "side front back end edge tip screen keyboard collar sleeve button tyre tire headlight mirror seat hull mast sail "
    "stem petal leaf branch trunk chimney balcony gable neck nostril lip chin cheek eyebrow beard moustache".split()
)
"""What is a part of another thing where it is "of" it, or that thing's."""

CLOTHES = frozenset(
    "shirt t-shirt dress skirt hat cap coat jacket sweater suit shorts trousers pants jeans trunks swimsuit bikini "
    "uniform helmet scarf tie glove glasses sunglasses shoe boot sock hoodie vest wetsuit top costume apron robe "
    "blouse cardigan jersey kimono gown outfit clothes clothing necklace trunk".split()
)
"""What people wear."""

IRREGULAR = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "persons": "person",
    "children": "child",
    "buses": "bus",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "sheep": "sheep",
    "leaves": "leaf",
    "knives": "knife",
    "wolves": "wolf",
    "policemen": "policeman",
    "firemen": "fireman",
    "fishermen": "fisherman",
    "ladies": "lady",
    "glasses": "glasses",
    "trousers": "trousers",
    "shorts": "shorts",
    "jeans": "jeans",
    "stairs": "stairs",
    "scissors": "scissors",
    "skis": "skis",
}
"""Plurals that no rule gives, and words that have only one form."""

VERBS = frozenset(
    "sits stands lies lays hangs holds rides wears looks walks runs plays jumps flies floats sat stood lying laying "
    "placed seated covered filled surrounded topped decorated mounted attached tied stacked lined sit stand "
    "lie hang hold ride look walk run fly float eat eats drink drinks".split()
)
"""Verbs that captions have behind what they name."""

TEXT = frozenset(
    "text word letter writing number digit inscription caption label lettering logo sign plate licence license title "
    "headline price date name".split()
)
"""What is written in a scene."""

PEOPLE = frozenset(
    "person man woman boy girl child kid baby lady guy gentleman sailor player worker policeman officer fireman "
    "fisherman surfer skier snowboarder skateboarder rider biker cyclist pedestrian dancer singer chef cook bride "
    "groom soldier athlete catcher batter pitcher umpire crowd someone teenager toddler adult mother father son "
    "daughter couple family team racer driver pilot farmer cowboy model friend student teacher doctor nurse "
    "swimmer hiker runner jogger motorcyclist tourist passenger spectator musician male female human couple "
    "businessman businesswoman youth".split()
)
"""Words for people."""
