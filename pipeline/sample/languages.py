"""Paragraphs in ten other languages, each with the legacy encodings its web pages still use.

A language is a few sentences with one slot and the words for it: enough for a language identifier
and a charset detector, which is what these pages are for.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Tongue:
    """A language: its code, CLD2's name for it, encodings, and sentences with the slot `%`."""

    code: str
    iso3: str
    name: str
    charsets: tuple[str, ...]
    sentences: tuple[str, ...]
    words: tuple[str, ...]

    def paragraph(self, random: Random, sentences: int) -> str:
        chosen = random.sample(self.sentences, min(sentences, len(self.sentences)))
        gap = "" if self.code in ("ja", "zh") else " "
        return gap.join(part.replace("%", random.choice(self.words)) for part in chosen)


def _tongue(code: str, iso3: str, name: str, charsets: str, sentences: str, words: str) -> Tongue:
    lines = tuple(line.strip() for line in sentences.strip().splitlines())
    return Tongue(code, iso3, name, tuple(charsets.split()), lines, tuple(words.split("/")))


# Written by the grammar of `sample_english`; here for what else a page needs to know.
ENGLISH = Tongue("en", "eng", "ENGLISH", ("utf-8", "iso-8859-1", "windows-1252"), (), ())

TONGUES = (
    _tongue("de", "deu", "GERMAN", "utf-8 iso-8859-1 windows-1252", """
        Im Frühjahr wurde in % endlich die alte Brücke über den Fluss wieder geöffnet.
        Viele Bewohner von % hatten jahrelang darauf gewartet und feierten bis spät in die Nacht.
        Der Bürgermeister sagte, dass die Arbeiten teurer geworden seien als zunächst geplant.
        Für die Schüler aus % ist der Weg zum Unterricht nun eine halbe Stunde kürzer.
        Größere Lastwagen müssen weiterhin die Straße am Ufer benutzen, denn sie sind zu breit.
        Ein Gasthof in der Nähe von % hat schon neue Gäste bekommen und sucht jetzt einen Koch.
        Über die Geschichte des Bauwerks gibt es übrigens ein kleines, sehr schönes Buch.
        Wer zu Fuß kommt, sollte feste Schuhe tragen, denn der Pfad ist bei Regen rutschig.
        Im nächsten Jahr soll auch der Bahnhof von % umgebaut werden.
        Niemand weiß genau, wann die erste Brücke an dieser Stelle errichtet wurde.
        """, "Neustadt/Altmühle/Grünau/Königsfeld/Birkenau/Schönbach"),
    _tongue("fr", "fra", "FRENCH", "utf-8 iso-8859-1 windows-1252", """
        La petite bibliothèque de % a rouvert ses portes après deux années de travaux.
        Les lecteurs y trouveront désormais plus de huit mille livres et une salle très claire.
        « Nous espérons que les élèves viendront après l'école », explique la directrice.
        À %, beaucoup de gens se souviennent encore de l'ancien bâtiment près de l'église.
        Le conseil municipal a voté une somme supplémentaire pour acheter des romans étrangers.
        Pendant l'été, des soirées de lecture auront lieu dans le jardin, sous les tilleuls.
        Il suffit de présenter une pièce d'identité pour emprunter jusqu'à six ouvrages.
        Un habitant de % a même offert sa collection de cartes anciennes.
        L'hiver dernier, la toiture avait été gravement endommagée par la tempête.
        Chaque mercredi, une conteuse venue de % lit des histoires aux plus jeunes.
        """, "Montclair/Beaulieu/Saint-Aubin/Valfleury/Rochebelle/Hautefort"),
    _tongue("es", "spa", "SPANISH", "utf-8 iso-8859-1", """
        El mercado de % abre todos los sábados por la mañana, incluso cuando llueve.
        Los agricultores de la región venden allí verduras, queso y una miel muy apreciada.
        Según los vecinos, los precios subieron mucho durante el año pasado.
        Mi abuela compraba siempre el pan en la misma panadería de %, junto a la fuente.
        Ahora hay también un pequeño café donde la gente se reúne después de hacer la compra.
        Los niños juegan en la plaza mientras sus padres conversan con los vendedores.
        El ayuntamiento quiere arreglar el tejado antes de que llegue el invierno.
        Desde % se puede llegar en autobús en menos de veinte minutos.
        Nadie recuerda con exactitud en qué año comenzó la tradición.
        Además, cada otoño se celebra un concurso para elegir la mejor calabaza.
        """, "Villanueva/Peñafría/Fuenteclara/Arroyal/Montejo/Salobral"),
    _tongue("it", "ita", "ITALIAN", "utf-8 iso-8859-1", """
        La stazione di % è stata costruita più di cento anni fa con la pietra del posto.
        Oggi i treni si fermano soltanto due volte al giorno, la mattina e la sera.
        Gli abitanti hanno raccolto le firme perché la linea non venga chiusa.
        Secondo il capostazione, d'estate arrivano molti turisti che vogliono vedere il lago.
        Nella vecchia sala d'attesa c'è adesso una mostra di fotografie di %.
        Il biglietto costa poco, ma bisogna comprarlo prima di salire sul treno.
        Qualche volta la nebbia è così fitta che non si vede nemmeno il campanile.
        Una maestra di % accompagna ogni anno gli alunni a visitare la locomotiva.
        Chi preferisce camminare può seguire il sentiero lungo il fiume.
        Purtroppo il ristorante vicino ai binari ha chiuso l'inverno scorso.
        """, "Borgonuovo/Pietrachiara/Castelvecchio/Montalto/Lagoscuro/Sanvito"),
    _tongue("pl", "pol", "POLISH", "utf-8 iso-8859-2 windows-1250", """
        W miejscowości % od dawna działa niewielka pracownia, w której naprawia się skrzypce.
        Właściciel uczył się zawodu u swojego dziadka i zna każdy szczegół.
        Zimą przychodzi mniej klientów, więc jest czas na budowę nowych instrumentów.
        Muzycy z % twierdzą, że dźwięk jest cieplejszy niż gdzie indziej.
        Drewno musi schnąć przez wiele lat, zanim można je wreszcie obrabiać.
        W zeszłym roku otwarto także małą wystawę, którą zwiedziło już tysiąc osób.
        Najtrudniejsza jest praca przy lakierze, ponieważ wymaga ogromnej cierpliwości.
        Uczniowie szkoły w % mogą bezpłatnie obejrzeć warsztat w każdy czwartek.
        Nikt nie wie, ile lat ma najstarszy instrument w zbiorach.
        Jesienią odbędzie się koncert, na który wszyscy już się cieszą.
        """, "Lipowiec/Jasna Góra/Brzeziny/Kamieniec/Sosnowo/Zielonka"),
    _tongue("nl", "nld", "DUTCH", "utf-8 iso-8859-1", """
        De molen van % draait weer sinds de wieken vorige maand zijn vernieuwd.
        Vrijwilligers hebben er bijna drie jaar aan gewerkt, vaak in het weekend.
        Het meel wordt verkocht in een kleine winkel naast het huis van de molenaar.
        Volgens de gemeente % komen er steeds meer bezoekers op de fiets.
        Bij harde wind moet de molen worden stilgezet, want anders is het gevaarlijk.
        Kinderen mogen onder begeleiding naar boven klimmen en over de polder kijken.
        Vroeger stonden er langs deze vaart wel twaalf molens op een rij.
        Een bakker uit % gebruikt het meel voor zijn donkere brood.
        Wie wil helpen, kan zich nog tot het einde van de maand aanmelden.
        De oude stenen worden bewaard in een schuur achter de dijk.
        """, "Veenwijk/Oosterdam/Kleinbroek/Zandvliet/Westerlo/Molendijk"),
    _tongue("ru", "rus", "RUSSIAN", "utf-8 windows-1251 koi8-r", """
        В городе % недавно открылась школа, где взрослых учат печь настоящий хлеб.
        Занятия проходят по вечерам, когда все уже вернулись с работы.
        Хозяйка говорит, что главное здесь терпение и хорошая мука.
        Многие ученики приезжают из соседнего посёлка % на автобусе.
        Печь сложили по старым чертежам, которые нашли в местном архиве.
        Зимой запах свежего хлеба слышен на другой стороне реки.
        Первую буханку каждый может забрать домой и угостить своих близких.
        Весной планируют построить ещё одно помещение рядом с садом.
        В газете % об этом написали большую статью с фотографиями.
        Никто не ожидал, что желающих окажется так много.
        """, "Берёзовка/Заречье/Каменск/Светлогорье/Ольховка/Новосёлки"),
    _tongue("el", "ell", "GREEK", "utf-8 iso-8859-7 windows-1253", """
        Στο χωριό % άνοιξε ξανά το παλιό εργαστήριο κεραμικής δίπλα στη θάλασσα.
        Οι τεχνίτες δουλεύουν από νωρίς το πρωί μέχρι να πέσει ο ήλιος.
        Ο πηλός έρχεται από έναν λόφο που βρίσκεται κοντά στο μοναστήρι.
        Πολλοί επισκέπτες από % αγοράζουν μικρά πιάτα και κανάτες για το σπίτι.
        Το καλοκαίρι γίνονται μαθήματα για παιδιά και για μεγάλους.
        Σύμφωνα με τον δήμαρχο, η παράδοση αυτή είναι πάνω από διακοσίων ετών.
        Τον χειμώνα ο φούρνος ανάβει μόνο δύο φορές τον μήνα.
        Κανείς δεν θυμάται πότε χτίστηκε το πρώτο καμίνι στην περιοχή.
        Από % μπορεί κανείς να έρθει και με το πλοίο της γραμμής.
        Τα χρώματα φτιάχνονται ακόμη με τον παλιό τρόπο, χωρίς μηχανές.
        """, "Αμμούδι/Πετρωτό/Καλαμιά/Ελαιώνας/Μυρτιά/Παλιόκαστρο"),
    _tongue("ja", "jpn", "Japanese", "utf-8 shift_jis euc-jp", """
        %の駅前にある小さな喫茶店は、今年で開店から四十年になります。
        店の主人は毎朝五時に起きて、豆を選びながらその日の天気を確かめるそうです。
        常連のお客さんの多くは近所に住んでいて、新聞を読みながらゆっくり過ごします。
        %から電車で来る人も少なくありません。
        冬になると、店の奥にある古いストーブのまわりに自然と人が集まります。
        壁には昔の町の写真がたくさん飾ってあり、話が尽きることはありません。
        去年の台風で屋根が壊れましたが、みんなで力を合わせて直しました。
        主人は「これからも変わらない味を守りたい」と話しています。
        %の新聞でも紹介されたので、週末は少し混むかもしれません。
        静かに過ごしたい人には、雨の日の午後がいちばんおすすめです。
        """, "山川町/青葉台/松原/桜木町/小泉村/北浜"),
    _tongue("zh", "zho", "Chinese", "utf-8 gb2312 gb18030", """
        %的老书店上个月重新开门了，许多读者一大早就在门口等候。
        店主说，最困难的时候每天只能卖出两三本书。
        后来附近的学生自发组织起来，帮助他把书籍重新分类。
        现在店里增加了几张桌子，大家可以坐下来慢慢阅读。
        从%坐公共汽车过来，大约需要半个小时。
        每到周末，这里还会举办关于历史和文学的小型讲座。
        墙上挂着一幅旧地图，可以看到一百年前街道的样子。
        下雨天客人不多，店主就坐在窗边修补破损的旧书。
        %的居民都希望这家书店能够一直开下去。
        明年春天，二楼的房间也准备对外开放。
        """, "青石镇/河西/柳林/东湖/白云村/南桥"),
)  # fmt: skip
