"""The verbs: English = French : what they take. A ! marks verbs without a progressive, a ~ those whose
English simple past is an imparfait as well (I knew: je savais), a ^ those that take no time and so are never said to
be going on (find, lose). A - leaves a noun out."""

# Transitive verbs and the noun classes of their objects
TRANSITIVE = """
eat=manger: fruit dish food
drink=boire: drink
prepare=préparer: dish
taste=goûter: dish food drink
buy=acheter: fruit dish food ingredient drink writing reading thing dishware jewelry clothes vehicle furniture
sell=vendre: fruit dish thing jewelry clothes vehicle furniture
order=commander: dish drink reading
read=lire: writing reading
write=écrire: writing
translate=traduire: writing
correct=corriger: writing exercise
copy=copier: writing
see!=voir: family person profession animal wild thing vehicle building nature
look at=regarder: family person animal wild thing nature building jewelry
watch=regarder: screen
listen to=écouter: family person profession sound
hear!=entendre: family person animal sound transport
love~=aimer: family
know~=connaître: family person profession settlement sound
find^=trouver: thing dishware jewelry clothes
look for=chercher: family person profession animal thing jewelry clothes place -beach
lose^=perdre: thing jewelry clothes
wait for=attendre: family person profession transport
meet=rencontrer: family person profession
help=aider: family person profession
invite=inviter: family person
visit=visiter: settlement building
wash=laver: clothes vehicle dishware animal
open=ouvrir: housepart
close=fermer: housepart
clean=nettoyer: room furniture surface dishware
repair=réparer: vehicle furniture housepart surface
break^=casser: dishware
wear=porter: clothes
carry=porter: furniture bag suitcase box basket bucket ladder flag umbrella bottle
take=prendre: transport thing
put on=mettre: clothes
drive=conduire: vehicle
build=construire: building
draw=dessiner: animal wild nature building
paint=peindre: housepart surface furniture
choose=choisir: thing clothes jewelry dish reading
receive^=recevoir: writing
forget^=oublier: thing clothes idea question answer word rule lesson title subject
understand!=comprendre: abstract -title
explain=expliquer: abstract
accept^=accepter: idea plan decision answer explanation choice proposal project method
use=utiliser: thing dishware ingredient
hide=cacher: thing jewelry
borrow=emprunter: thing -flower -candle -stamp -ticket -feather vehicle clothes book novel
rent=louer: vehicle apartment
steal=voler: jewelry vehicle
throw=lancer: ball
cut=couper: fruit
peel=éplucher: fruit
sing=chanter: song
finish=finir: writing exercise lesson
begin=commencer: writing exercise lesson
follow=suivre: person profession wild animal
kiss=embrasser: family
thank=remercier: family person profession
greet=saluer: family person profession
admire=admirer: family person profession nature building
respect=respecter: family profession law
protect=protéger: animal wild family forest river
feed=nourrir: animal
photograph=photographier: wild animal nature building
chase=poursuivre: wild animal thief
cross=traverser: way
plant=planter: tree flower
push=pousser: furniture vehicle
pull=tirer: furniture
move=déplacer: furniture
tear up=déchirer: writing reading
sign=signer: contract letter report
organize=organiser: event
cancel=annuler: event
miss^=rater: transport
watch over=surveiller: animal child
accompany=accompagner: family person
call=appeler: family person profession
recognize^=reconnaître: family person profession
surprise^=surprendre: family person
defend=défendre: family person
judge=juger: person
adopt=adopter: animal child
describe=décrire: person witness painting photo thief house castle village city
iron=repasser: shirt dress skirt suit uniform apron tie scarf
fill=remplir: glass cup vase bowl teapot bottle basket bucket
empty=vider: glass cup vase bowl teapot bottle basket bucket
touch=toucher: animal thing
catch=attraper: animal wild thief
examine=examiner: thing jewelry
imagine=imaginer: situation
question=interroger: person witness
hire=engager: profession
"""
# Verbs of taste: their object is general (I like apples: j'aime les pommes)
TASTE = "like~=aimer; hate~=détester; adore~=adorer; prefer~=préférer"
# With French à and a person: the pronoun is lui, leur
INDIRECT = """
talk to=parler; answer=répondre; write to=écrire; smile at=sourire; lie to=mentir;
look like~=ressembler; obey=obéir; forgive=pardonner; phone=téléphoner
"""
# Something to someone: object classes
DITRANSITIVE = """
give=donner: thing jewelry dish writing; show=montrer: thing jewelry writing reading clothes;
lend=prêter: thing -flower -candle -stamp -envelope -ticket -map
-photo vehicle book novel clothes;
send=envoyer: writing gift flower; offer=offrir: jewelry gift flower clothes; bring=apporter: thing dish writing;
sell=vendre: jewelry vehicle furniture; return=rendre: thing clothes writing; explain=expliquer: abstract; read=lire:
writing;
"""
# With de (dont, en)
ABOUT = """
talk about=parler: family person event abstract screen; dream about=rêver: event building settlement;
remember!=se souvenir: family person event settlement screen; complain about=se plaindre: event noise neighbor;
take care of=s'occuper: animal family child; make fun of=se moquer: person; need~=avoir besoin: thing dishware
ingredient clothes vehicle;
be afraid of~=avoir peur: animal wild exam
"""
INTRANSITIVE = """
sleep=dormir; work=travailler; run=courir; walk=marcher; cry=pleurer; laugh=rire; smile=sourire; sing=chanter;
dance=danser;
swim=nager; shout=crier; dream=rêver; travel=voyager; smoke=fumer; think=réfléchir; cook=cuisiner; study=étudier;
play=jouer;
cough=tousser; lie=mentir; wait=attendre; eat=manger; suffer=souffrir; snore=ronfler; tremble=trembler;
hesitate=hésiter;
whistle=siffler; drive=conduire; jump=sauter; breathe=respirer; pray=prier; yawn=bâiller; speak=parler;
exaggerate=exagérer;
complain=se plaindre; garden=jardiner; blush=rougir; knit=tricoter
"""
REFLEXIVE = """
wake up=se réveiller; get up=se lever; get dressed=s'habiller; rest=se reposer; have fun=s'amuser; hurry=se dépêcher;
go to bed=se coucher; fall asleep=s'endormir; sit down=s'asseoir; stop=s'arrêter; be bored~=s'ennuyer; take a
walk=se promener;
get angry=se fâcher; shave=se raser; train=s'entraîner; worry=s'inquiéter; make a mistake=se tromper; bathe=se
baigner;
undress=se déshabiller; get lost^=se perdre; relax=se détendre; calm down=se calmer; get married=se marier; hide=se
cacher
"""
# With être, and how the place is put: to, from, or none
MOTION = """
go=aller: to; come back=revenir: from; arrive=arriver: at; go out=sortir: none; leave=partir: none;
go home=rentrer: none; come=venir: none; go back=retourner: to; stay=rester: at; go upstairs=monter: none; go
downstairs=descendre: none
"""
# What happens to one, without one's will
ACCIDENT = """
fall=tomber; faint=s'évanouir; get hurt=se blesser; slip=glisser; sneeze=éternuer; cough=tousser
"""
# Verbs before an infinitive, with the French preposition, or none
MODAL = """
want to~=vouloir; hope to~=espérer; prefer to~=préférer; have to~=devoir; know how to~=savoir; love to~=adorer; hate
to~=détester;
try to=essayer de; decide to=décider de; forget to=oublier de; refuse to=refuser de; promise to=promettre de; dare
to!=oser;
agree to=accepter de; learn to=apprendre à; begin to=commencer à; hesitate to=hésiter à; manage to=réussir à;
need to~=avoir besoin de; plan to=prévoir de; like to~=aimer; continue to=continuer à; get ready to=se préparer à;
be about to~=être sur le point de
"""
# Before a clause with that
OPINION = "think~=penser; believe~=croire; know~=savoir; say=dire; hope~=espérer; imagine!=imaginer; notice!=remarquer"
# Idioms with avoir: to be something in English
AVOIR = """
be hungry=faim; be thirsty=soif; be cold=froid; be hot=chaud; be sleepy=sommeil; be right=raison; be wrong=tort;
be lucky=de la chance; be scared=peur; be ashamed=honte; be in pain=mal
"""
