/**
 * 1024 short English words for fingerprints. No two share their first four letters and no two are one letter
 * apart, so a word is hard to mishear or misread. The order is part of the fingerprint: never change it.
 */
export const fingerprintWordList: readonly string[] = `
able acorn actor adept adobe agent agile aim aisle alarm album alert alibi alive alley almond aloe alpha
alpine alto amber ample amuse anchor angle animal annex answer ant anvil april apron arbor arch arena
argon aroma array arrow ash aspen aster atlas atom attic august autumn avenue award axis azure baby
bacon badge bagel baker ballad bamboo banana banjo bargain barley basil basket bat beach beaver bed
beetle bell berry bicycle birch bird biscuit bishop bison blanket blue bobcat bonnet bonus book bottle
boulder bouquet bow bracket brass brave bread breeze brick bridge bronze broom brush bubble bucket
budget buffalo bugle bulb bumper bunny burrow bus butter buzz cabin cactus cadet cake calm camel canal
candle canoe canyon captain caramel cargo carpet carrot cashew castle catalog cavern cedar celery cello
cement center ceramic cereal chalk charm cheese chef cherry chess chili chimney choir chorus chrome
cider cinema circle citrus city civic clay clever cliff climb clock cloth cloud club coach cobalt
cobbler cocoa coffee coin collar cologne column comet compass concert condor copper coral cork corner
cosmos cotton cousin cove coyote crab cradle crane crater crayon credit creek cricket crimson crisp
crocus crown cruise crystal cube cuckoo cup curtain cycle cymbal cypress dahlia dairy dam damsel dance
danube daring dart date dawn debut decade decimal deck decor deer delight delta denim dentist desert
detail device dew diagram dial diary diesel digit dinner diploma disco dish ditto diver doctor dolphin
domain dome domino donkey door double dozen dragon drawer dream dress drift drizzle droplet drum duet
dune duplex dusk duty dynamo eager eagle earth easel east echo edge editor egg eight elastic elbow
elegant elf emerald empire energy engine enjoy ensign entry epic equal evening exact exhibit exit exotic
extra eye fabric face falcon family fan fancy farm fashion faucet favor feather fedora fellow fence fern
fiber fiddle field fig figure film filter finale finch finger fire flag flame flannel fleet flint float
flower fluid flute foam focus foil folk forest forum fossil fox freckle freight fresh friend frost fruit
fuchsia fudge funnel future gadget galaxy gallon game garage garden garlic gazelle gem general genius
gentle geyser giant gift glacier glass glider glimmer globe goat gold gondola goose gorge gospel grain
granite grape gravel great green grid griffin ground grove guava guest guide guitar gulf guppy habit
hail halibut halo hamlet hammer hamster hand happy harp harvest hawk hazel hazy head heart helium helmet
helper hen herb heron hickory hill hinge hint hippo hobby hockey honey hood hope horizon horn hotel
house hub human humble hundred hunter hurdle hybrid ice icicle icon idea iguana image impact import
impulse index ink inlet input insect inside iris island item ivory ivy jacket jade jaguar janitor jar
jasper javelin jazz jeans jelly jersey jet jewel jigsaw journal joy jubilee juggle juice july jumbo
junior jupiter justice karate kayak keeper kennel kettle key kid kilo kimono kindle king kiosk kitchen
kiwi knee knight knob koala label lacquer ladder lagoon lamp lantern laptop laser laurel lava leader
leaf lectern legend legume lemon lens letter level liberty library lichen lilac lily lime limit linen
lingo lion liquid list little lizard llama lobster local locket locust lodge logic lotus lounge lucky
lullaby lumber lunar lunch luster lynx lyric macaw machine magic magnet magpie major mallet mammoth
mango mantle maple marble market mascot mason matrix mauve maxim maze meadow medal melody memory menu
mercury meteor mile mimosa mineral minnow minute mirror mitten mixer mobile model moment moon morning
mosaic moss motor movie muffin mural muscle museum music mutual mystery nation nature navy near nebula
nectar needle nephew neptune nest neutral newton nimble nine noble nomad north nougat nozzle nugget
nurse nutmeg nylon oak oasis oatmeal oboe ocean octave odyssey office offset olympic omega onion onyx
opal open opera optic opus oracle orange orbit orchid oregano organ orient otter outfit over owl oxford
oxygen oyster ozone pacific paddle page pagoda paint palace palette panda panther papaya paper parade
parsley pastel path patrol peak peanut pearl pebble pecan pelican pencil pendant peony people pepper
perch petal petunia phone photo piano pickle picnic pie pigeon pillow pilot pioneer pirate pixel pizza
planet plateau plaza plum plywood poem polar polka poncho pond poppy portal potato powder prairie prance
precise present pretzel prism prize project proud public pulse pump puppet purple puzzle python quail
quarter quasar queen quick quiet quill quiz rabbit raccoon radar radio raft rainbow raisin rally ranch
ranger rapid raven razor ready realm recipe record reef regal region relay relish remedy rent replica
rescue respect retro reward rhino rhubarb rhythm ribbon rigid ripple road robin robot rodeo roller
romance roof rookie rose royal rubber ruby rudder rug ruler runner runway rustic safari saffron sailor
salad salmon salsa salute sandal sardine satin saturn sauce savanna scale scarf school science scooter
scout screen sea season second secret sedan seed select seminar senior serene sesame seven shadow shell
ship shoe shrub shuttle sierra signal silk silver simple siren six skate sketch ski skipper slope smart
smooth snack snail snow soap soccer sock soda solid sonata song sonic south space sparrow spiral spoon
sprint spruce square stable stadium stamp star steam stone story stripe studio sturdy sublime sugar suit
summer sundae sunset super surf surplus sushi swallow swan sweater sweet swift swing symbol syrup system
tablet tackle talent target tartan taxi teacher teapot temple tennis textile thank theater thimble
thistle three thrive throne ticket tide tiger timber tinker tinsel tiny titan toast token tomato tool
topaz torch tornado total totem toucan tourist tower town tractor trail trek tribe trio trophy trout
truck trumpet trust tuba tulip tundra turbine turnip turtle tutor tuxedo tweed twelve twin twist two
typhoon uncle under unicorn unique unit upbeat uplift upper useful usual utensil valve vanilla varnish
vault vector velvet vendor venture venus veranda verse vessel vibrant video view villa vinyl violet
virtue visit visor vista vital vivid volcano volume voyage waffle wagon waist walnut walrus waltz wander
warbler water wave wax wealth weekend welcome whale wheat wheel whisper white widget wigwam wild window
winter wise wolf worker world wreath writer yacht yard yogurt yonder young zebra zenith zero zigzag
zipper zodiac zoom
`
  .trim()
  .split(/\s+/);
