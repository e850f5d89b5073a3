"""The adjectives, adverbs, numbers and time expressions: English = French and what they go with."""

# Groups: P people's nature, S people's state (after be only), V animals, X wild animals, G fruit, F dishes, B other
# food, D drinks, W writings, T things, J jewelry, C clothes, K vehicles, U furniture, R rooms, L places, N nature,
# Y ways, A abstract nouns, E events; < marks those that stand before a French noun.
ADJECTIVES = """
tall=grand < P; young=jeune < PVX; old=vieux < PVXTJWCKURLY; beautiful=beau < PVXTJCKURLNY; pretty=joli < TJCRL;
kind=gentil P; intelligent=intelligent PV; brave=courageux P; famous=célèbre P; rich=riche P; shy=timide P;
funny=drôle PWA; lazy=paresseux PV; polite=poli P; strong=fort PV; honest=honnête P; jealous=jaloux P;
generous=généreux P; curious=curieux PV; patient=patient P; discreet=discret P; elegant=élégant PC; blond=blond P;
hardworking=travailleur P; talkative=bavard P; clever=malin P; stubborn=têtu PV; careful=prudent P; proud=fier P;
sincere=sincère P; loyal=loyal P; ambitious=ambitieux P; modest=modeste P; mean=méchant PV; charming=charmant P;
cheerful=joyeux P; foreign=étranger PPW; creative=créatif P;
tired=fatigué S; happy=heureux S; sad=triste S; sick=malade S; ready=prêt S; busy=occupé S; worried=inquiet S;
surprised=surpris S; disappointed=déçu S; furious=furieux S; alone=seul S; nervous=nerveux S; angry=en colère S;
free=libre S; lost=perdu S; standing=debout S; married=marié S; satisfied=satisfait S; late=en retard S;
early=en avance S; relaxed=détendu S; embarrassed=gêné S; exhausted=épuisé S; absent=absent S; delighted=ravi S;
retired=retraité S; wounded=blessé S;
big=grand < VXTCKURLNG; small=petit < VXTJCKURLNG; new=nouveau < TJCKURLWA; red=rouge TCKUG; green=vert TCKUG;
blue=bleu TCKU; white=blanc TCKUVX; black=noir TCKUVX; yellow=jaune TCKUG; gray=gris TCKUX; brown=marron TCUX;
pink=rose TC; purple=violet TC; heavy=lourd TUJ; light=léger TCJ; expensive=cher TJCKUFB; cheap=bon marché TCKUFGB;
useful=utile TWAU; strange=étrange TWANLJ; broken=cassé TU; clean=propre TCKURL; dirty=sale TCKURL;
round=rond UJ; rectangular=rectangulaire U; empty=vide RL; wooden=en bois U; fragile=fragile TJU; solid=solide UKT;
modern=moderne KURL; dry=sec C; wet=mouillé CT; soft=doux C; comfortable=confortable CRK; quiet=calme RLY;
noisy=bruyant RLKV; dangerous=dangereux XYK; precious=précieux JJ; magnificent=magnifique TJCRLNWX; ugly=laid TJCURLV;
huge=énorme VXGKUN; tiny=minuscule TXJR; practical=pratique TCKU; large=gros < VX;
good=bon < GFBDWA; bad=mauvais < GFBDWA; excellent=excellent < GFBDWAE; delicious=délicieux GFBD; hot=chaud FBD;
cold=froid FBD; fresh=frais GB; salty=salé FB; bitter=amer D; sweet=sucré GFD;
important=important WAE; difficult=difficile WA; easy=facile WA; interesting=intéressant WAE; simple=simple A;
boring=ennuyeux WAE; long=long < WEY; short=court WE; stupid=stupide A; original=original WA; serious=sérieux PA;
complicated=compliqué WA; necessary=nécessaire A; surprising=surprenant WAE; perfect=parfait A; public=public E;
wonderful=merveilleux WNE; historic=historique L; rural=rural L; deserted=désert LY; narrow=étroit RY;
wild=sauvage NX; tame=apprivoisé V; faithful=fidèle PV; gifted=doué P; thin=maigre PVX; vain=vaniteux P; rare=rare XJN
"""

# Where it goes in French: end of the clause, and in English too
MANNERS = """
well=bien; badly=mal; slowly=lentement; quickly=vite; quietly=doucement; here=ici;
outside=dehors; a lot=beaucoup; too much=trop; with pleasure=avec plaisir; in silence=en silence;
without stopping=sans arrêt; carefully=soigneusement; patiently=patiemment
"""
HABITS = """
every day=tous les jours; every night=toutes les nuits;
 every morning=tous les matins; every evening=tous les soirs; every week=toutes les semaines;
on Sundays=le dimanche; on Mondays=le lundi; on Fridays=le vendredi; every year=tous les ans; from time to time=de
temps en temps;
every summer=tous les étés; twice a week=deux fois par semaine; once a month=une fois par mois
"""
PAST_TIMES = """
yesterday=hier; last week=la semaine dernière; last year=l'année dernière; this morning=ce matin; last night=hier
soir;
on Monday=lundi; two days ago=il y a deux jours; a month ago=il y a un mois; last month=le mois dernier; an hour
ago=il y a une heure;
on Saturday=samedi; three weeks ago=il y a trois semaines; last summer=l'été dernier
"""
FUTURE_TIMES = """
tomorrow=demain; next week=la semaine prochaine; next year=l'année prochaine; tonight=ce soir; soon=bientôt;
tomorrow morning=demain matin; in two days=dans deux jours; next month=le mois prochain; in an hour=dans une heure;
next summer=l'été prochain; the day after tomorrow=après-demain; this afternoon=cet après-midi
"""
NOW = "now=maintenant; at the moment=en ce moment; today=aujourd'hui; this week=cette semaine"

NUMBERS = """
two=deux; three=trois; four=quatre; five=cinq; six=six; seven=sept; eight=huit; nine=neuf; ten=dix; eleven=onze;
twelve=douze;
thirteen=treize; fifteen=quinze; sixteen=seize; twenty=vingt; thirty=trente; forty=quarante; fifty=cinquante;
sixty=soixante;
seventy=soixante-dix; eighty=quatre-vingts; ninety=quatre-vingt-dix; a hundred=cent; twenty-one=vingt et un;
seventy-one=soixante et onze
"""
QUANTITIES = "a lot of=beaucoup; too many=trop; enough=assez; a few=quelques; several=plusieurs; fewer=moins; more=plus"
MASS_QUANTITIES = "a lot of=beaucoup; too much=trop; enough=assez; a little=un peu; less=moins; more=plus"
CONTAINERS = """
a glass of=un verre C; a bottle of=une bouteille C; a cup of=une tasse H; a piece of=un morceau P; a kilo of=un kilo K
"""
