"""Vocabulary: the words that the synthetic shop's titles and descriptions are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """A group of items that the same people like.

    `things` are sold one by one and `packs` as sets; any of `makes` goes with any of both.
    `peak` is the month in which the theme sells best and `seasonality` how much better (0: all
    the year alike); `price` is the median, in pounds.
    """

    name: str
    category: str
    makes: tuple[str, ...]
    things: tuple[str, ...]
    packs: tuple[str, ...]
    sentences: tuple[str, ...]
    price: float
    peak: int = 1
    seasonality: float = 0.0


COLOURS = (
    "blue", "red", "cream", "sage green", "white", "pink", "grey", "mustard", "navy", "teal",
    "lilac", "black", "terracotta", "mint", "ivory", "plum",
)  # fmt: skip

BRANDS = (
    "Harrow & Finch", "Little Orchard", "Northlight", "Mill Lane", "Pepper & Plum", "Old Harbour",
    "Saltmarsh", "Juniper Row", "Fernley", "Maison Clair", "Copperfield", "Wren House",
    "Tallow & Co", "Bluebell Yard", "Hemlock Bridge", "Three Geese",
)  # fmt: skip

# The first is where the shop is at home: about half of its customers.
COUNTRIES = ("United Kingdom", "Germany", "France", "Netherlands", "Sweden", "Ireland")

THEMES = (
    Theme(
        "tea time", "kitchen",
        ("enamel", "stoneware", "bone china", "floral", "spotted", "hand-painted", "retro"),
        ("tea pot", "tea cup and saucer", "milk jug", "sugar bowl", "butter dish", "tea caddy",
         "cake stand", "tea strainer"),
        ("egg cups", "dessert plates", "tea cups"),
        ("Afternoon tea, the way grandmother served it.", "Keeps a brew warm for an hour.",
         "Looks its best beside a plate of scones."),
        12.0,
    ),
    Theme(
        "coffee corner", "kitchen",
        ("cast iron", "glass", "speckled", "matt", "copper-rimmed", "bamboo", "double-walled"),
        ("coffee press", "coffee grinder", "espresso pot", "drip coffee stand", "milk frother",
         "coffee canister", "travel mug"),
        ("espresso cups", "coffee mugs", "coffee spoons"),
        ("For the first espresso of the morning.", "Barista coffee without the queue.",
         "Takes freshly ground beans."),
        16.0,
    ),
    Theme(
        "baking day", "kitchen",
        ("retro", "gingham", "vintage", "polka dot", "farmhouse", "bistro", "cherry print"),
        ("mixing bowl", "cake tin", "rolling pin", "baker's apron", "oven glove",
         "flour sifter", "bread bin", "icing bag"),
        ("cookie cutters", "cupcake cases", "measuring spoons", "loaf tins"),
        ("Flour, butter, eggs, and this.", "Bakes evenly, from sponge to sourdough.",
         "For bakers big and small."),
        9.0,
    ),
    Theme(
        "barbecue", "garden",
        ("heat-proof", "heavy-duty", "smokehouse", "ranch", "campfire", "chef's"),
        ("grill pan", "barbecue apron", "charcoal starter", "grill brush", "smoker box",
         "meat thermometer", "barbecue glove"),
        ("skewers", "grill tongs", "burger presses", "marinade brushes"),
        ("For long evenings beside the coals.", "Stands up to smoke and flame.",
         "The grill master's choice."),
        18.0, 6, 0.8,
    ),
    Theme(
        "picnic", "outdoors",
        ("striped", "gingham", "meadow print", "riviera", "daisy", "checked"),
        ("picnic hamper", "picnic blanket", "cool bag", "lemonade jug", "sandwich box",
         "bottle carrier", "salad bowl with lid"),
        ("picnic plates", "tumblers", "cutlery rolls", "paper straws"),
        ("Pack it for the meadow or the park.", "Light to carry and quick to wipe.",
         "Made for lemonade and egg sandwiches."),
        17.0, 7, 0.8,
    ),
    Theme(
        "potting shed", "garden",
        ("vintage", "weathered", "herb garden", "allotment", "cottage", "botanical"),
        ("watering can", "plant pot", "herb planter", "garden trowel", "seed tin",
         "kneeling pad", "hanging basket", "twine dispenser"),
        ("plant markers", "seedling trays", "gardening gloves"),
        ("For green fingers, muddy or not.", "Drains well and lasts for many springs.",
         "At home among seedlings and herbs."),
        13.0, 4, 0.7,
    ),
    Theme(
        "garden birds", "garden",
        ("cedar", "rustic", "hanging", "window", "robin print", "slate-roofed"),
        ("bird feeder", "nest box", "bird bath", "suet holder", "bird table", "seed scoop",
         "robin house"),
        ("feeder hooks", "seed trays", "peanut feeders"),
        ("Robins, tits and finches move in within days.", "Easy to clean and slow to empty.",
         "Hang it where you can watch from the window."),
        14.0, 2, 0.5,
    ),
    Theme(
        "candlelight", "home",
        ("frosted", "hammered", "moroccan", "antique", "twisted", "starlight"),
        ("candle in a jar", "lantern", "candle snuffer", "wax burner", "candelabra",
         "hurricane lamp", "incense holder"),
        ("tea lights", "dinner candles", "t-light holders", "floating candles"),
        ("Burns slowly, with a soft glow.", "Fills the room with fig and cedar scent.",
         "For the bath, the table or the mantelpiece."),
        8.0, 11, 0.4,
    ),
    Theme(
        "soft furnishings", "home",
        ("velvet", "linen", "woven", "quilted", "tasselled", "boucle", "embroidered"),
        ("cushion", "throw", "bolster", "floor pouffe", "draught excluder", "rug", "bedspread",
         "seat pad"),
        ("cushion covers", "pillowcases", "curtain tie-backs"),
        ("Makes any sofa a place to stay.", "Washes at thirty and dries in shape.",
         "Feather filled, for naps and late films."),
        24.0,
    ),
    Theme(
        "bath house", "bathroom",
        ("bamboo", "spa", "striped", "scalloped", "seaside", "ribbed"),
        ("bath mat", "soap dish", "bath robe", "toothbrush holder", "laundry basket",
         "bath caddy", "soap dispenser"),
        ("hand towels", "guest soaps", "wash mitts", "face cloths"),
        ("A small spa behind your own door.", "Soft, and dry again by the evening.",
         "Lavender, steam and a closed door."),
        15.0,
    ),
    Theme(
        "woodland nursery", "children",
        ("woodland", "bunny", "owl", "hedgehog", "little fox", "starry"),
        ("night light", "baby blanket", "cot mobile", "comforter", "height chart", "nursery clock",
         "moses basket"),
        ("muslin cloths", "baby bibs", "first socks"),
        ("For the smallest person in the house.", "Gentle on new skin.",
         "A gift for a christening or a cradle."),
        16.0,
    ),
    Theme(
        "toy box", "children",
        ("wooden", "space rocket", "dinosaur", "circus", "farmyard", "pirate", "jungle"),
        ("train", "puzzle", "spinning top", "stacking tower", "doll's house", "puppet theatre",
         "skittles game", "pull-along dog"),
        ("building blocks", "toy soldiers", "finger puppets", "marbles"),
        ("Toys that need no batteries.", "Painted with child-safe colours.",
         "Hours of play on a rainy day."),
        14.0, 12, 0.6,
    ),
    Theme(
        "back to school", "children",
        ("spaceboy", "dolly girl", "retro", "animal print", "alphabet", "rainbow"),
        ("lunch box", "pencil case", "school satchel", "drinks bottle", "gym bag",
         "geometry set", "desk tidy"),
        ("pencils", "exercise books", "name labels", "crayons"),
        ("Ready for the first day of term.", "Survives the playground and the bus.",
         "Fits a satchel with room to spare."),
        7.0, 9, 0.9,
    ),
    Theme(
        "birthday party", "party",
        ("spotted", "confetti", "glitter", "retro", "paper lace", "striped"),
        ("bunting", "cake topper", "party garland", "pinata", "birthday banner", "honeycomb ball",
         "balloon pump"),
        ("party hats", "balloons", "paper plates", "party bags", "cake candles"),
        ("Hang, blow, cut the cake.", "Everything for a party of eight.",
         "For birthdays from one to a hundred."),
        5.0,
    ),
    Theme(
        "christmas", "party",
        ("snowflake", "nordic", "reindeer", "gingerbread", "holly", "robin"),
        ("advent calendar", "christmas wreath", "tree topper", "christmas stocking",
         "nativity scene", "snow globe", "tree skirt"),
        ("baubles", "christmas crackers", "tree decorations", "christmas cards"),
        ("Brings out the carols and the mulled wine.", "For the tree, the door or the mantel.",
         "Packed away in January, missed by March."),
        10.0, 12, 0.97,
    ),
    Theme(
        "gift wrap", "stationery",
        ("kraft", "marbled", "botanical", "gold-edged", "starry", "polka dot"),
        ("gift box", "roll of wrapping paper", "gift bag", "ribbon reel", "wrapping kit",
         "wax seal stamp"),
        ("gift tags", "tissue sheets", "satin bows", "greeting cards"),
        ("The present before the present.", "Ties, folds and curls without a tear.",
         "Recyclable, string and all."),
        4.0, 12, 0.6,
    ),
    Theme(
        "writing desk", "stationery",
        ("marbled", "antique", "library", "art nouveau", "botanical", "explorer"),
        ("notebook", "fountain pen", "letter opener", "desk calendar", "address book",
         "blotting pad", "pen tray"),
        ("envelopes", "writing sheets", "bookmarks", "ink cartridges"),
        ("For letters that deserve a stamp.", "Lies flat and takes ink without bleeding.",
         "A quiet corner for lists and diaries."),
        11.0,
    ),
    Theme(
        "sewing room", "craft",
        ("vintage", "floral", "folk art", "patchwork", "rose print", "haberdashery"),
        ("sewing box", "pin cushion", "tape measure", "knitting bag", "embroidery hoop",
         "button tin", "needle case"),
        ("ribbons", "cotton reels", "fabric squares", "knitting needles"),
        ("Mend, stitch, begin another quilt.", "A place for every thread and needle.",
         "For hands that like to be busy."),
        10.0, 1, 0.3,
    ),
    Theme(
        "travel", "accessories",
        ("canvas", "waxed cotton", "map print", "lightweight", "striped", "explorer"),
        ("weekend bag", "passport holder", "luggage tag", "wash bag", "neck pillow", "rucksack",
         "travel wallet"),
        ("packing cubes", "shoe bags", "luggage straps"),
        ("From the night train to the departure gate.", "Fits under the seat in front.",
         "Holds a weekend and a bit more."),
        28.0, 6, 0.4,
    ),
    Theme(
        "jewellery", "accessories",
        ("enamelled", "beaded", "art deco", "teardrop", "floral", "filigree"),
        ("pendant necklace", "charm bracelet", "brooch", "cocktail ring", "jewellery box",
         "hair comb", "locket"),
        ("drop earrings", "stud earrings", "bangles", "hair slides"),
        ("A little sparkle for every evening.", "Nickel free, in its own pouch.",
         "Wear it or give it away."),
        19.0,
    ),
    Theme(
        "winter warmers", "accessories",
        ("fair isle", "cable knit", "merino", "fleece-lined", "sheepskin", "cashmere blend"),
        ("hot water bottle", "scarf", "bobble hat", "hand warmer", "poncho", "ear muffs",
         "wheat bag"),
        ("mittens", "bed socks", "slippers"),
        ("Keeps the frost outside.", "Knitted thick and warm for January.",
         "For cold feet and colder mornings."),
        15.0, 12, 0.9,
    ),
    Theme(
        "beach", "outdoors",
        ("nautical", "striped", "seashell", "sailor", "palm print", "regatta"),
        ("beach towel", "beach bag", "sun hat", "windbreak", "bucket and spade", "deck chair",
         "parasol", "swim ring"),
        ("flip-flops", "beach balls", "sand moulds"),
        ("Sand shakes off, salt rinses out.", "For the pier, the pool and the dunes.",
         "Smells of sun cream by August."),
        14.0, 7, 0.9,
    ),
    Theme(
        "dogs", "pets",
        ("tweed", "tartan", "paw print", "bone print", "terrier", "checked"),
        ("dog bed", "dog collar", "dog lead", "dog coat", "treat bag", "dog cushion",
         "towel robe"),
        ("chew toys", "tennis balls", "rope toys"),
        ("For walkies in any weather.", "Chewed, washed, and as good as new.",
         "Tested by terriers."),
        15.0,
    ),
    Theme(
        "cats", "pets",
        ("fish print", "mouse print", "striped", "tabby", "plush", "siesta"),
        ("scratching post", "cat basket", "cat tunnel", "cat cushion", "cat collar with bell",
         "climbing tree", "window perch"),
        ("catnip mice", "cat wands", "feather balls"),
        ("Purrs within the hour.", "Claws welcome, sofas spared.",
         "For naps in a patch of sun."),
        13.0,
    ),
)  # fmt: skip
