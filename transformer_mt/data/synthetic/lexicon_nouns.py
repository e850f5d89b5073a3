"""The nouns: English = French and gender (m, f; mp, fp where only the plural is used), by semantic class."""

NOUNS = """
[family] mother=mère f; father=père m; brother=frère m; sister=sœur f; uncle=oncle m; aunt=tante f; son=fils m;
grandmother=grand-mère f; grandfather=grand-père m; daughter=fille f; cousin=cousin m; nephew=neveu m; niece=nièce f;
godmother=marraine f; godfather=parrain m

[person] man=homme m; woman=femme f; boy=garçon m; girl=fille f; child=enfant m; lady=dame f; friend=ami m;
neighbor=voisin m; guest=invité m; colleague=collègue m; customer=client m; tourist=touriste m; king=roi m;
queen=reine f; prince=prince m; princess=princesse f; thief=voleur m; stranger=inconnu m; hero=héros m; pupil=élève m;
witness=témoin m

[profession] teacher=professeur m; student=étudiant m; doctor=médecin m; nurse=infirmière f; baker=boulanger m;
farmer=agriculteur m; waiter=serveur m; waitress=serveuse f; singer=chanteur m; actor=acteur m; actress=actrice f;
writer=écrivain m; engineer=ingénieur m; lawyer=avocat m; policeman=policier m; soldier=soldat m; director=directeur
m;
secretary=secrétaire f; worker=ouvrier m; artist=artiste m; musician=musicien m; journalist=journaliste m;
cook=cuisinier m;
driver=chauffeur m; gardener=jardinier m; judge=juge m; mayor=maire m; dancer=danseuse f; hairdresser=coiffeur m;
butcher=boucher m; postman=facteur m; pilot=pilote m; dentist=dentiste m; captain=capitaine m; nun=religieuse f;
fisherman=pêcheur m; seamstress=couturière f; carpenter=menuisier m; firefighter=pompier m; accountant=comptable m

[animal] dog=chien m; cat=chat m; horse=cheval m; cow=vache f; bird=oiseau m; rabbit=lapin m; duck=canard m;
sheep=mouton m; goat=chèvre f; pig=cochon m; hen=poule f; mouse=souris f; donkey=âne m; hamster=hamster m;
goose=oie f; turtle=tortue f; puppy=chiot m; kitten=chaton m
[wild] lion=lion m; elephant=éléphant m; bear=ours m; wolf=loup m; fox=renard m; monkey=singe m; squirrel=écureuil m;
snake=serpent m; owl=hibou m; frog=grenouille f; butterfly=papillon m; tiger=tigre m; spider=araignée f; bee=abeille f

[fruit] apple=pomme f; pear=poire f; orange=orange f; strawberry=fraise f; cherry=cerise f; peach=pêche f;
banana=banane f;
tomato=tomate f; carrot=carotte f; potato=pomme de terre f; onion=oignon m; egg=œuf m; lemon=citron m;
apricot=abricot m;
mushroom=champignon m; bean=haricot m; cucumber=concombre m; pineapple=ananas m
[dish] cake=gâteau m; sandwich=sandwich m; pizza=pizza f; omelet=omelette f; salad=salade f; pie=tarte f;
pancake=crêpe f;
dessert=dessert m; cookie=biscuit m; croissant=croissant m; yogurt=yaourt m; steak=steak m
[food] bread=pain m; cheese=fromage m; meat=viande f; fish=poisson m; rice=riz m; butter=beurre m; jam=confiture f;
honey=miel m; chocolate=chocolat m; soup=soupe f; ham=jambon m; chicken=poulet m; ice cream=glace f; beef=bœuf m
[ingredient] sugar=sucre m; salt=sel m; flour=farine f; oil=huile f; pepper=poivre m; garlic=ail m; vinegar=vinaigre m
[drink] water=eau f; wine=vin m; milk=lait m; coffee=café m; tea=thé m; beer=bière f; lemonade=limonade f;
orange juice=jus d'orange m; cider=cidre m

[writing] book=livre m; letter=lettre f; novel=roman m; article=article m; poem=poème m; story=histoire f;
message=message m; report=rapport m; text=texte m; postcard=carte postale f; essay=essai m
[reading] newspaper=journal m; magazine=magazine m; dictionary=dictionnaire m; recipe=recette f; poster=affiche f;
contract=contrat m; program=programme m

[thing] key=clé f; bag=sac m; phone=téléphone m; umbrella=parapluie m; watch=montre f; lamp=lampe f; pen=stylo m;
pencil=crayon m; notebook=cahier m; camera=appareil photo m; computer=ordinateur m; suitcase=valise f;
wallet=portefeuille m;
gift=cadeau m; toy=jouet m; doll=poupée f; ball=ballon m; candle=bougie f; blanket=couverture f; towel=serviette f;
basket=panier m; hammer=marteau m; brush=brosse f; ticket=billet m; map=carte f; flower=fleur f; photo=photo f;
painting=tableau m; clock=horloge f; stamp=timbre m; envelope=enveloppe f; tool=outil m; ladder=échelle f;
rope=corde f;
needle=aiguille f; pillow=oreiller m; bottle=bouteille f; box=boîte f; ruler=règle f; eraser=gomme f; broom=balai m;
passport=passeport m; tent=tente f; comb=peigne m; flag=drapeau m; bucket=seau m; feather=plume f; radio=radio f
[dishware] knife=couteau m; fork=fourchette f; spoon=cuillère f; glass=verre m; plate=assiette f; cup=tasse f;
vase=vase m;
bowl=bol m; teapot=théière f; frying pan=poêle f
[jewelry] ring=bague f; necklace=collier m; jewel=bijou m; bracelet=bracelet m; medal=médaille f

[clothes] shirt=chemise f; dress=robe f; skirt=jupe f; coat=manteau m; hat=chapeau m; jacket=veste f; scarf=écharpe f;
sweater=pull m; tie=cravate f; shoe=chaussure f; boot=botte f; sock=chaussette f; glove=gant m; suit=costume m;
uniform=uniforme m; cap=casquette f; belt=ceinture f; raincoat=imperméable m; apron=tablier m

[vehicle] car=voiture f; truck=camion m; bicycle=vélo m; boat=bateau m; motorcycle=moto f; tractor=tracteur m
[transport] bus=bus m; train=train m; plane=avion m; taxi=taxi m; ferry=ferry m; subway=métro m

[furniture] table=table f; chair=chaise f; bed=lit m; sofa=canapé m; armchair=fauteuil m; desk=bureau m;
wardrobe=armoire f; shelf=étagère f; bench=banc m; mirror=miroir m; carpet=tapis m

[housepart] door=porte f; window=fenêtre f; drawer=tiroir m; gate=portail m; cupboard=placard m; shutter=volet m
[surface] wall=mur m; roof=toit m; ceiling=plafond m; fence=clôture f; floor=sol m; staircase=escalier m

[room] kitchen=cuisine f; bedroom=chambre f; bathroom=salle de bains f; living room=salon m; garden=jardin m;
garage=garage m; cellar=cave f; attic=grenier m; classroom=salle de classe f; courtyard=cour f; hallway=couloir m;
dining room=salle à manger f; waiting room=salle d'attente f; workshop=atelier m

[place] school=école f; market=marché m; station=gare f; hospital=hôpital m; church=église f; beach=plage f;
restaurant=restaurant m; library=bibliothèque f; airport=aéroport m; cinema=cinéma m; theater=théâtre m;
museum=musée m;
bank=banque f; pharmacy=pharmacie f; bakery=boulangerie f; swimming pool=piscine f; university=université f;
factory=usine f; stadium=stade m; hotel=hôtel m; farm=ferme f; supermarket=supermarché m; post office=poste f;
zoo=zoo m; bookstore=librairie f; town hall=mairie f; port=port m; office=bureau m; police station=commissariat m;
gym=gymnase m; campsite=camping m

[building] house=maison f; castle=château m; bridge=pont m; tower=tour f; apartment=appartement m; palace=palais m;
cabin=cabane f; villa=villa f; cathedral=cathédrale f; hut=hutte f
[settlement] city=ville f; village=village m; neighborhood=quartier m; region=région f; capital=capitale f
[nature] tree=arbre m; river=rivière f; mountain=montagne f; lake=lac m; sea=mer f; island=île f; sky=ciel m;
star=étoile f;
field=champ m; hill=colline f; forest=forêt f; moon=lune f; valley=vallée f; waterfall=cascade f
[way] street=rue f; road=route f; square=place f; path=chemin m; avenue=avenue f

[abstract] idea=idée f; problem=problème m; question=question f; answer=réponse f; mistake=erreur f; secret=secret m;
plan=plan m; decision=décision f; dream=rêve m; word=mot m; sentence=phrase f; lesson=leçon f; exercise=exercice m;
rule=règle f; project=projet m; method=méthode f; explanation=explication f; situation=situation f; choice=choix m;
reason=raison f; example=exemple m; subject=sujet m; law=loi f; title=titre m; opinion=opinion f;
proposal=proposition f
[screen] movie=film m; match=match m; show=spectacle m; play=pièce f; performance=représentation f
[event] party=fête f; meeting=réunion f; trip=voyage m; wedding=mariage m; concert=concert m; exam=examen m;
ceremony=cérémonie f; conference=conférence f; course=cours m; exhibition=exposition f; dinner=dîner m;
appointment=rendez-vous m
[sound] song=chanson f; noise=bruit m; voice=voix f; melody=mélodie f; speech=discours m

[instrument] piano=piano m; guitar=guitare f; violin=violon m; flute=flûte f; trumpet=trompette f; harp=harpe f;
drums=batterie f; accordion=accordéon m; cello=violoncelle m; organ=orgue m
[sport] football=football m; tennis=tennis m; basketball=basket m; golf=golf m; volleyball=volley m; rugby=rugby m;
chess=échecs mp; cards=cartes fp; marbles=billes fp; hockey=hockey m; hide-and-seek=cache-cache m
[body] head=tête f; leg=jambe f; arm=bras m; hand=main f; foot=pied m; back=dos m; knee=genou m; throat=gorge f;
stomach=ventre m; ear=oreille f; shoulder=épaule f; tooth=dent f; neck=cou m; ankle=cheville f; wrist=poignet m
[washed] hands=mains fp; hair=cheveux mp; feet=pieds mp; face=visage m; ears=oreilles fp; legs=jambes fp
[language] French=français m; English=anglais m; German=allemand m; Spanish=espagnol m; Italian=italien m;
Russian=russe m;
Chinese=chinois m; Japanese=japonais m; Arabic=arabe m; Portuguese=portugais m; Greek=grec m; Dutch=néerlandais m
[study] math=mathématiques fp; physics=physique f; geography=géographie f; chemistry=chimie f; biology=biologie f;
philosophy=philosophie f; music=musique f; history=histoire f; economics=économie f
[mass] money=argent m; time=temps m; luck=chance f; work=travail m; courage=courage m; patience=patience f
[unique] sun=soleil m; weather=temps m; traffic=circulation f; president=président m
"""

PLACES = """
[town] Paris=Paris; London=Londres; Rome=Rome; Madrid=Madrid; Berlin=Berlin; Lyon=Lyon; Marseille=Marseille;
Brussels=Bruxelles; Geneva=Genève; Lisbon=Lisbonne; Vienna=Vienne; Moscow=Moscou; Venice=Venise; Bordeaux=Bordeaux;
Toulouse=Toulouse; Athens=Athènes; Amsterdam=Amsterdam; Dublin=Dublin; Montreal=Montréal; Tokyo=Tokyo;
Barcelona=Barcelone; Warsaw=Varsovie; Edinburgh=Édimbourg; Florence=Florence; Strasbourg=Strasbourg; Nantes=Nantes
[country] France=France f; Italy=Italie f; Spain=Espagne f; Germany=Allemagne f; Japan=Japon m; Canada=Canada m;
Portugal=Portugal m; Belgium=Belgique f; England=Angleterre f; China=Chine f; Switzerland=Suisse f; Brazil=Brésil m;
Mexico=Mexique m; Morocco=Maroc m; Russia=Russie f; the United States=États-Unis mp; the Netherlands=Pays-Bas mp;
Greece=Grèce f; Poland=Pologne f; Ireland=Irlande f; India=Inde f; Egypt=Égypte f; Sweden=Suède f; Senegal=Sénégal m
"""

PEOPLE = """
[man] Paul; Pierre; Louis; Thomas; Nicolas; Antoine; Hugo; Julien; Lucas; Marc; Henri; Olivier; David; Martin; Victor;
Simon; Arthur; Daniel; Philippe; Vincent
[woman] Marie; Julie; Sophie; Claire; Anne; Alice; Emma; Charlotte; Louise; Isabelle; Nathalie; Laura; Manon; Sarah;
Caroline; Juliette; Catherine; Pauline; Agathe; Olivia
"""
