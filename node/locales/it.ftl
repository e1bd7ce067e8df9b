# Raccordo, italiano. Stesse chiavi di en.ftl; le prove lo controllano.
skip = Vai al contenuto principale
tools = Lingua e accesso
sign-out = Esci
footer-hours = Gli orari sono quelli italiani
footer-api = Descrizione per i programmi (OpenAPI)
back-home = Torna alla pagina iniziale

sign-in = Accesso
sign-in-how = Questo nodo mostra dati riservati. Accedi con nome e password, oppure con il codice che ti ha dato chi lo amministra.
sign-in-do = Entra
sign-in-failed = Nome e password, o il codice, non sono validi. Controlla di averli scritti per intero, oppure rivolgiti a chi amministra il nodo.
sign-in-name = Nome
sign-in-password = Password
sign-in-or = Oppure con un codice
sign-in-wait = { $n ->
    [one] Troppi tentativi da questo indirizzo: riprova tra un secondo.
   *[other] Troppi tentativi da questo indirizzo: riprova tra { $shown } secondi.
  }
token = Codice di accesso
token-hint = Chi amministra il nodo lo crea con
token-name-example = NOME

error-not-found = Qui non c’è nulla
error-not-allowed = Il tuo ruolo non lo permette
error-erased = Questo progetto è stato cancellato
writes-rolled-back = Per ora solo lettura: il nodo sta recuperando ciò che aveva perso
writes-cloned = Per ora solo lettura: un altro nodo usa la chiave di questo
error-store = In questo momento il nodo non può farlo
error-other = La richiesta non è stata accolta

live-ended = La sessione è scaduta: ricarica la pagina per accedere di nuovo. Quello che vedi non si aggiorna più.
live-lost = Il nodo non risponde: quello che vedi può non essere aggiornato. Riprovo da solo.
updated-at = Aggiornato alle

projects = Progetti
projects-shared = Progetti condivisi
projects-local = Progetti solo locali
projects-caption = Progetti, dal modificato più di recente
persons = Persone
persons-distinct = Persone distinte
households = Nuclei
households-distinct = Nuclei distinti
to-choose = Con valori da scegliere
waiting-to-go = Modifiche da consegnare
search = Cerca
search-hint = Numero, ente o sede
search-do = Cerca
search-clear = Togli i filtri
all-states = Tutti gli stati
no-projects = Non c’è ancora nessun progetto. Si possono importare da un file o creare dai programmi dell’ufficio.
nothing-found = Nessun progetto corrisponde alla ricerca.
reference = Numero
no-reference = Senza numero
state = Stato
need-area = Area di bisogno
next-review = Prossima verifica
none-set = Non fissata
updated = Modificato
delivery = Consegna
territory = Territorio
pages = Pagine
first-page = Prima pagina
next-page = Pagina successiva
back-territories = Torna allo stato dei territori
back-projects = Torna ai progetti
all-projects = Tutti i progetti
conflicts = { $n ->
    [one] un valore da scegliere
   *[other] { $shown } valori da scegliere
  }

delivery-saved = Salvato qui
delivery-queued = In coda ({ $shown })
delivery-delivered = Consegnato il { $when }
delivery-delivered-undated = Consegnato
delivery-seen = Visto da { $who }
delivery-seen-when = { $who } il { $when }

link-none = Nessun collegamento con una coordinazione: questo nodo lavora da solo. Tutto resta salvato qui.
link-connected = Collegato a { $who }.
link-sending = { $n ->
    [one] Una modifica sta partendo.
   *[other] { $shown } modifiche stanno partendo.
  }
link-receiving = { $n ->
    [one] Una novità sta arrivando.
   *[other] { $shown } novità stanno arrivando.
  }
link-pending = In attesa che { $who } approvi questo nodo: intanto lavori normalmente.
link-alone = Isolato da { $span }: lavori normalmente;
link-never = Coordinazione non ancora raggiunta: lavori normalmente;
link-waits = { $n ->
    [one] una modifica partirà da sola.
   *[other] { $shown } modifiche partiranno da sole.
  }
link-oldest = La più vecchia attende da { $span }.
link-nothing-waits = nessuna modifica in attesa.
link-suspended = { $who } ha sospeso lo scambio con questo nodo: lavori normalmente, le modifiche restano in coda.
link-revoked = { $who } ha revocato questo nodo: i dati restano qui e non partono più.
link-refused = Lo scambio con { $who } è fermo e serve una persona.

span-moments = pochi istanti
span-minutes = { $n ->
    [one] un minuto
   *[other] { $shown } minuti
  }
span-hours = { $n ->
    [one] 1 ora
   *[other] { $shown } ore
  }
span-days = { $n ->
    [one] 1 giorno
   *[other] { $shown } giorni
  }

territories = Stato dei territori
territories-caption = Per ogni territorio: quanto è recente quello che si vede, e le cifre principali
no-territories = Nessun territorio partecipa ancora. Si invita con
freshness = Aggiornamento
freshness-current = Aggiornato
freshness-catching_up = In allineamento
freshness-stale = Non raggiunto
freshness-never_seen = Mai visto
as-of = dati al { $when }
as-of-never = nessun dato
behind = { $n ->
    [one] manca una modifica
   *[other] mancano { $shown } modifiche
  }
member-pending = da approvare
member-approved = membro
member-suspended = sospeso
member-revoked = revocato
pending-peers = { $n ->
    [one] Un nodo attende l’approvazione:
   *[other] { $shown } nodi attendono l’approvazione:
  }
totals-cover = Il totale copre { $current } di { $all } territori aggiornati;
totals-short = { $current } di { $all } territori aggiornati
totals-oldest = parte più vecchia: { $when }.
totals-never = almeno un territorio non si è mai visto.
totals-none = Nessun territorio partecipa ancora.
by-state = Per stato
by-state-caption = Progetti per stato e territorio
by-area-caption = Progetti per area di bisogno e territorio
digest = Impronta
total = Totale
legend = Colori della barra
tone-early = Accoglienza e valutazione
tone-planned = Progettazione
tone-running = Attivo
tone-attention = In verifica, sospeso o in trasferimento
tone-ended = Concluso

state-reported = Segnalato
state-taken_in_charge = Preso in carico
state-assessment = In valutazione
state-planning = In progettazione
state-approval = In approvazione
state-active = Attivo
state-review = In verifica
state-suspended = Sospeso
state-closed = Chiuso
state-reopened = Riaperto
state-transferring = In trasferimento
state-transferred = Trasferito
state-archived = Archiviato
state-planned = Previsto
state-done = Svolto
state-cancelled = Annullato
state-extended = Prorogato
state-concluded = Concluso

area-FAM = Famiglia e minori
area-DIS = Disabilità e non autosufficienza
area-POV = Povertà ed esclusione
subject-person = Persona
subject-household = Nucleo familiare
kind-person = Persona
kind-household = Nucleo familiare
sharing-shared = Condiviso
sharing-local = Solo in questo territorio
sex-F = Femmina
sex-M = Maschio
sex-X = Altro
horizon-short = Breve
horizon-medium = Medio
horizon-long = Lungo
decision-continue = Prosegue
decision-revise = Da rivedere
decision-suspend = Sospende
decision-close = Chiude
role-case_manager = Responsabile del caso
reached-1 = No
reached-2 = In parte
reached-3 = Sì
body-SSD = Servizio sociale distrettuale
body-DSM = Dip. Salute Mentale
body-D3D = Dip. Dipendenze
body-DISS = Integrazione socio-sanitaria
body-CPI = Centro per l’impiego
body-SIL = SIL
body-COM = Comune
body-PROV = Provincia
body-CSS = CSS
body-COR = Centro orientamento
body-DPREV = Prevenzione
body-FP = Formazione
body-SCU = Scuola
body-IMP = Impresa
body-ETS = Terzo settore
kind-TIS = Tirocinio di inclusione
kind-TIR = Tirocinio formativo
kind-VOU = Voucher
role-member = Componente
outcome-ASSUNTO = Assunzione
outcome-PROROGA = Prosegue o proroga
outcome-PASSAGGIO = Altro strumento
outcome-CONCLUSO = Concluso senza esito
outcome-RINUNCIA = Rinuncia
outcome-SALUTE = Interruzione per salute
outcome-OSPITANTE = Interruzione dell’ospitante
outcome-TRASF = Trasferito
code-1 = Altro ambito della regione
code-2 = Altra regione
code-4 = Risoluzione del bisogno
code-5 = Uscita richiesta
code-6 = Rimpatrio
code-7 = Irreperibilità
code-8 = Decesso
code-9 = Altro
code-TRASF_LAVORO = Passaggio al sistema lavoro
code-OBIETTIVI = Obiettivi raggiunti
kind-BL_SSC = Borsa lavoro del servizio sociale
kind-BL_SIL = Borsa lavoro SIL
kind-BL_DSM = Borsa lavoro DSM
kind-BL_DIP = Borsa lavoro dipendenze
kind-LAB_OV = Laboratorio osservativo-valutativo
kind-LAB_PR = Laboratorio protetto
kind-CM68 = Collocamento mirato
kind-COOP_B = Cooperativa di tipo B
kind-LSU = Lavori socialmente utili
kind-LPU = Lavori di pubblica utilità
kind-AGR = Agricoltura sociale
kind-SCOM = Servizio di comunità
kind-MICRO = Microcredito
kind-ASS = Assunzione ordinaria
purpose-PRO = Propedeutica
purpose-OSS = Osservazione e valutazione
purpose-SOC = Integrazione sociale
purpose-LAV = Inserimento lavorativo
yes = sì
no = no
somebody = autore non indicato

section-project = Progetto
field-ref = Numero
field-sharing = Condivisione
field-subject = Soggetto
field-kind = Tipo
field-token = Codice soggetto
field-birth_year = Anno di nascita
field-sex = Sesso
field-municipality = Comune (codice ISTAT)
field-minors = Minori
field-need_area = Area di bisogno
field-sub_areas = Aree specifiche
field-opened_on = Aperto il
field-state = Stato
field-team = Équipe
field-body = Servizio
field-operator = Operatore
field-role = Ruolo
field-from = Dal
field-until = Al
field-plans = Piani
field-plans-social = Piano sociale
field-plans-health = Piano sanitario
field-plans-work = Piano lavoro e formazione
field-goals = Obiettivi
field-text = Testo
field-horizon = Orizzonte
field-due = Scadenza
field-reached = Raggiunto
field-interventions = Interventi
field-type = Tipo
field-provider = Ente
field-start = Inizio
field-end = Fine
field-hours = Ore
field-employability = Occupabilità
field-instruments = Strumenti
field-purpose = Finalità
field-host = Sede ospitante
field-amount_eur = Importo
field-outcome = Esito
field-code = Codice
field-reviews = Verifiche
field-on = Il
field-bodies = Servizi presenti
field-decision = Decisione
field-summary = Sintesi
field-next_on = Prossima
field-next_review_on = Prossima verifica

conflicts-title = Da scegliere: più persone hanno scritto insieme
conflicts-explain = Nessun valore è andato perso. Resta tutto finché una persona sceglie.
overwritten-title = Valori scritti insieme e non mostrati
flags-title = Da guardare
choose-this = Tieni questo
choose-explain = La scelta resta nella storia e si può cambiare.
value-shown = Valore mostrato
value-other = Altro valore
value-lost = Valore non mostrato
flag-unknown_code = codice non in elenco
flag-ref_in_use_twice = numero usato due volte nel territorio
flag-invalid_value = valore fuori dalle regole
flag-state_out_of_order = stato fuori sequenza
flag-removal_undone = tolto da una persona e modificato da un’altra: è tornato
flag-closing_without_outcome = chiuso senza esito
flag-dates_out_of_order = date non in ordine
withheld = Il tuo ruolo non mostra per intero:
history = Storia
history-left = { $n ->
    [one] Un’altra voce più vecchia si legge dai programmi dell’ufficio.
   *[other] Altre { $shown } voci più vecchie si leggono dai programmi dell’ufficio.
  }
node = nodo
operation-add = aggiunge
operation-replace = cambia
operation-remove = toglie
creates-project = crea il progetto
as-json = Questo progetto per i programmi (JSON)

guidelines = Linee guida
guidelines-caption = Linee guida del coordinamento, dall’ultima modificata
organisations = Organizzazioni
organisations-caption = Organizzazioni della rete, dall’ultima modificata
nothing-published = Non c’è ancora niente.
name = Nome
kind-and-version = Tipo e versione
validity = Validità
state-draft = Bozza
state-consultation = In consultazione
state-published = Pubblicata
state-superseded = Superata
state-identified = Individuata
state-contacted = Contattata
state-member = Aderente
state-withdrawn = Ritirata
type-procedure = Procedura
type-form = Modulo
type-list = Elenco
type-text = Testo
refusal-not_allowed = Il tuo ruolo non lo permette
refusal-malformed = La richiesta non si può leggere
refusal-sign_in_needed = Serve un accesso o un token
refusal-no_such_address = A questo indirizzo non c’è nulla
refusal-no_such_method = Questo indirizzo non accetta questo metodo
refusal-invalid = Ci sono valori non ammessi: nulla è stato salvato
refusal-too_many_failures = Troppi tentativi sbagliati da questo indirizzo: riprovare più tardi
refusal-cross_site = La richiesta viene da un altro sito: aprire la pagina di questo nodo e ripeterla lì
refusal-not_ready = Il nodo non è ancora pronto
refusal-too_large = La richiesta è troppo grande
refusal-not_found = Non trovato su questo nodo
refusal-not_home = Il documento appartiene a un altro territorio: lo modificano solo i suoi nodi
refusal-ref_in_use = Il riferimento è già in uso con un altro contenuto
refusal-ambiguous = Più territori hanno questo riferimento: indicare il territorio
refusal-erased = Il documento è stato cancellato per sempre
refusal-damaged = Il documento è danneggiato su questo nodo e torna da un altro: riprovare più tardi
refusal-store_cannot_write = L’archivio non può scrivere: nulla è stato salvato
refusal-rolled_back = Il nodo riprende dagli altri ciò che ha perso: fino ad allora si può solo leggere
refusal-cloned = Un altro nodo usa la stessa chiave: l’amministratore sceglie quale resta
refusal-stopping = Il nodo si sta fermando
refusal-test_failed = Il valore nel frattempo è cambiato: nulla è stato modificato
refusal-unknown_version = La versione indicata non è nota qui: rileggere il documento
refusal-state_cannot_follow = Questo passaggio di stato non è ammesso
refusal-dates_out_of_order = Le date non sono in ordine
refusal-closing_without_outcome = Per chiudere serve un esito
refusal-refused_again = La registrazione è stata di nuovo rifiutata
refusal-not_whole = Il gruppo di registrazioni non è completo
refusal-unreachable = L’altro nodo non risponde
refusal-not_coordination = Lo decide la coordinazione: eseguire il comando lì
refusal-joined_already = Il nodo appartiene già a una coordinazione
refusal-no_such_incarnation = Nessun nodo con questa chiave è partito così
refusal-other_territory = L’invito è per un altro territorio
refusal-other_role = L’invito è per un altro ruolo
refusal-other_version = I due nodi hanno versioni che non si intendono: aggiornare il più vecchio
refusal-key_taken = La chiave del nodo è già di un altro
refusal-revoked = Il nodo è stato revocato
refusal-join_failed = L’adesione non è riuscita
refusal-invitation_expired = L’invito è scaduto: chiederne uno nuovo
refusal-invitation_malformed = L’invito non è completo: copiarlo di nuovo per intero
refusal-invitation_refused = L’invito è stato rifiutato
refusal-invitation_unknown = L’invito non è noto a chi lo riceve
refusal-invitation_used = L’invito è già stato usato
rule-required = Il valore è obbligatorio
rule-wrong_type = Il valore è di un altro tipo
rule-not_allowed = Scegliere uno dei valori ammessi
rule-not_a_date = Scrivere una data come 2026-03-04
rule-not_an_instant = Scrivere un istante come 2026-03-04T09:00:00Z
rule-not_money = Scrivere un importo in euro con al più due decimali
rule-out_of_range = Il numero è fuori dai limiti
rule-too_long = Il testo è troppo lungo
rule-too_large = Il documento sarebbe troppo grande
rule-too_deep = Il valore ha troppi livelli
rule-bad_code = Un codice è un testo breve e non vuoto
rule-bad_name = Il nome del campo non è ammesso
rule-reserved_field = Questo campo lo scrive il nodo
rule-path_not_found = Questo campo non c’è nel documento
rule-not_a_pointer = Il percorso non è un puntatore JSON
rule-operation_not_supported = Sono ammesse le operazioni add, replace, remove e test
rule-state_cannot_follow = Da questo stato non si passa a quello
rule-dates_out_of_order = La fine non può venire prima dell’inizio
rule-closing_without_outcome = Indicare l’esito prima di chiudere
rule-unknown_member = Questa parte della riga non è nota
rule-unknown_kind = Questo tipo di documento non è noto
rule-ref_differs = Il riferimento nel documento non è quello della riga

record-project = Progetto
record-guideline = Linea guida
record-organisation = Organizzazione
record-person = Persona
record-household = Nucleo familiare
record-casefile = Cartella
record-contact = Contatto
record-resource = Risorsa
record-activity = Attività
state-registered = Registrata
state-merged = Unita a un’altra
state-deceased = Deceduta
state-dissolved = Sciolto
state-open = Aperto
state-offered = Offerta
state-paused = In pausa
state-recorded = Registrata
state-corrected = Corretta
state-proposed = Proposta
state-signed = Firmata
state-revised = Rivista
state-sent = Inviato
state-delivered = Consegnato
state-accepted = Accettato
state-rejected = Rifiutato
state-assigned = Assegnato
state-partly_spent = Speso in parte
state-exhausted = Esaurito
state-expired = Scaduto
state-revoked = Revocato
flag-state_cannot_follow = stato che non può seguire
rule-decision_without_quorum = Il risultato chiede il voto di tutti i servizi del quorum: aggiungere i voti mancanti o lasciare aperto il risultato.
refusal-decision_without_quorum = Decisione senza i voti richiesti
flag-decision_without_quorum = decisione senza i voti richiesti
rule-field_is_fixed = Questo campo si fissa alla creazione: per un altro valore creare un’altra scheda.
refusal-field_is_fixed = Campo fisso cambiato dopo la creazione
flag-field_is_fixed = campo fisso cambiato dopo la creazione
rule-instrument_too_long = Lo strumento dura più o meno di quanto è ammesso: correggere le date o indicare la proroga.
refusal-instrument_too_long = Durata dello strumento fuori dai limiti
flag-instrument_too_long = durata dello strumento fuori dai limiti
rule-locked_by_transfer = Il progetto è in trasferimento: fino alla risposta si possono solo aggiungere verifiche.
refusal-locked_by_transfer = Cambiato durante il trasferimento
flag-locked_by_transfer = cambiato durante il trasferimento
rule-referral_state = L’invio non può passare a questo stato: fare un nuovo invio.
refusal-referral_state = Invio fuori sequenza
flag-referral_state = invio fuori sequenza
rule-sharing_is_fixed = La condivisione si decide alla creazione e non cambia.
refusal-sharing_is_fixed = Condivisione cambiata dopo la creazione
flag-sharing_is_fixed = condivisione cambiata dopo la creazione
rule-activated_without_signatures = Il progetto si attiva quando ogni servizio ha firmato il suo piano così com’è: raccogliere le firme mancanti.
refusal-activated_without_signatures = Attivato senza le firme dei servizi
flag-activated_without_signatures = attivato senza le firme dei servizi
rule-signature_to_renew = Il piano è cambiato dopo la firma: farlo firmare di nuovo.
refusal-signature_to_renew = Firma da rinnovare
flag-signature_to_renew = firma da rinnovare
rule-vote_without_body = Un voto è di un servizio: indicare quale.
refusal-vote_without_body = Voto senza servizio
flag-vote_without_body = voto senza servizio
rule-voucher_overspent = È stato speso più del valore del voucher: correggere la spesa o emettere un altro voucher.
refusal-voucher_overspent = Voucher speso oltre il valore
flag-voucher_overspent = voucher speso oltre il valore
rule-voucher_spent_outside_validity = La spesa è fuori dal periodo di validità del voucher: correggere la data o la validità.
refusal-voucher_spent_outside_validity = Voucher speso fuori validità
flag-voucher_spent_outside_validity = voucher speso fuori validità
rule-bad_fiscal_code = Il codice fiscale non è giusto: controllare i 16 caratteri, in maiuscolo.
refusal-bad_fiscal_code = Codice fiscale non valido
flag-bad_fiscal_code = codice fiscale non valido

# Persone, pseudonimi, cancellazione
refusal-fiscal_code_in_use = Un’altra scheda ha già questo codice fiscale: usare quella, o unire le due
refusal-merge_in_a_circle = Le due schede sarebbero unite l’una nell’altra: annullare prima l’altra unione
refusal-protected_subject = Persona protetta: il progetto resta nel territorio
rule-protected_subject = La persona è protetta e un progetto condiviso arriva al coordinamento: crearlo con condivisione locale.
refusal-person_in_project = Un progetto non porta il nome della persona
rule-person_in_project = Il progetto non conserva di chi è: indicare la persona alla creazione, o aggiungere il progetto alla sua cartella.
refusal-identity_in_shared_record = Un’identità non va in un documento condiviso
rule-identity_in_shared_record = In questo testo c’è un codice fiscale e il documento arriva al coordinamento: scriverlo senza.
refusal-legal_hold = Un vincolo di conservazione vieta la cancellazione
refusal-retention = Il periodo di conservazione non è finito
flag-possible_duplicate = Forse la stessa persona ha un’altra scheda
flag-fiscal_code_in_use_twice = Un’altra scheda ha lo stesso codice fiscale
record-erasure_order = Ordine di cancellazione
state-ordered = Ordinata
state-completed = Completata
