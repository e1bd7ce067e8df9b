# Raccordo, English. The same keys as it.ftl; the tests hold them together.
skip = Skip to the main content
tools = Language and sign-in
sign-out = Sign out
footer-hours = Times are those of Italy
footer-api = Description for programs (OpenAPI)
back-home = Back to the first page

sign-in = Sign in
sign-in-how = This node shows confidential data. Sign in with name and password, or with the token that its administrator gave you.
sign-in-do = Sign in
sign-in-failed = Name and password, or the token, are not valid. Check that you typed all of it, or ask the node’s administrator.
sign-in-name = Name
sign-in-password = Password
sign-in-or = Or with a token
sign-in-wait = { $n ->
    [one] Too many attempts from this address: try again in a second.
   *[other] Too many attempts from this address: try again in { $shown } seconds.
  }
token = Token
token-hint = The node’s administrator makes one with
token-name-example = NAME

error-not-found = There is nothing here
error-not-allowed = Your role does not allow it
error-erased = This record was erased
writes-rolled-back = Only reading for now: this node is fetching back what it had lost
writes-cloned = Only reading for now: another node uses this node's key
error-store = The node cannot do this at the moment
error-other = The request was refused

live-ended = The session has ended: reload the page to sign in again. What you see is no longer updated.
live-lost = The node does not answer: what you see may be out of date. Trying again by itself.
updated-at = Updated at

projects = Projects
projects-shared = Shared projects
projects-local = Local projects only
projects-caption = Projects, latest change first
persons = Persons
persons-distinct = Distinct persons
households = Households
households-distinct = Distinct households
to-choose = With values to choose
waiting-to-go = Changes to deliver
search = Search
search-hint = Number, provider or host
search-do = Search
search-clear = Clear the filters
all-states = All states
no-projects = There is no project yet. They can be imported from a file or created by the office’s programs.
nothing-found = No project matches the search.
reference = Number
no-reference = No number
state = State
need-area = Need area
next-review = Next review
none-set = Not set
updated = Changed
delivery = Delivery
territory = Territory
pages = Pages
first-page = First page
next-page = Next page
back-territories = Back to the state of the territories
back-projects = Back to the projects
all-projects = All projects
conflicts = { $n ->
    [one] one value to choose
   *[other] { $shown } values to choose
  }

delivery-saved = Saved here
delivery-queued = Queued ({ $shown })
delivery-delivered = Delivered { $when }
delivery-delivered-undated = Delivered
delivery-seen = Seen by { $who }
delivery-seen-when = { $who } on { $when }

link-none = Not linked to a coordination: this node works alone. Everything is kept here.
link-connected = Linked to { $who }.
link-sending = { $n ->
    [one] One change is leaving.
   *[other] { $shown } changes are leaving.
  }
link-receiving = { $n ->
    [one] One change is arriving.
   *[other] { $shown } changes are arriving.
  }
link-pending = Waiting for { $who } to approve this node: meanwhile you work as usual.
link-alone = Isolated for { $span }: you work as usual;
link-never = Coordination not reached yet: you work as usual;
link-waits = { $n ->
    [one] one change will leave by itself.
   *[other] { $shown } changes will leave by themselves.
  }
link-oldest = The oldest has waited for { $span }.
link-nothing-waits = no change is waiting.
link-suspended = { $who } has paused the exchange with this node: you work as usual, changes stay queued.
link-revoked = { $who } has revoked this node: the data stay here and no longer leave.
link-refused = The exchange with { $who } has stopped and needs a person.

span-moments = a few moments
span-minutes = { $n ->
    [one] a minute
   *[other] { $shown } minutes
  }
span-hours = { $n ->
    [one] 1 hour
   *[other] { $shown } hours
  }
span-days = { $n ->
    [one] 1 day
   *[other] { $shown } days
  }

territories = State of the territories
territories-caption = For each territory: how recent what you see is, and the main figures
no-territories = No territory takes part yet. Invite one with
freshness = Freshness
freshness-current = Current
freshness-catching_up = Catching up
freshness-stale = Not reached
freshness-never_seen = Never seen
as-of = as of { $when }
as-of-never = no data
behind = { $n ->
    [one] one change missing
   *[other] { $shown } changes missing
  }
member-pending = to approve
member-approved = member
member-suspended = suspended
member-revoked = revoked
pending-peers = { $n ->
    [one] One node waits for approval:
   *[other] { $shown } nodes wait for approval:
  }
totals-cover = The totals cover { $current } of { $all } territories up to date;
totals-short = { $current } of { $all } territories up to date
totals-oldest = oldest part: { $when }.
totals-never = at least one territory was never seen.
totals-none = No territory takes part yet.
by-state = By state
by-state-caption = Projects by state and territory
by-area-caption = Projects by need area and territory
digest = Digest
total = Total
legend = Colours of the bar
tone-early = Intake and assessment
tone-planned = Planning
tone-running = Active
tone-attention = In review, suspended or in transfer
tone-ended = Ended

state-reported = Reported
state-taken_in_charge = Taken in charge
state-assessment = In assessment
state-planning = In planning
state-approval = In approval
state-active = Active
state-review = In review
state-suspended = Suspended
state-closed = Closed
state-reopened = Reopened
state-transferring = In transfer
state-transferred = Transferred
state-archived = Archived
state-planned = Planned
state-done = Done
state-cancelled = Cancelled
state-extended = Extended
state-concluded = Concluded

area-FAM = Family and minors
area-DIS = Disability and dependency
area-POV = Poverty and exclusion
subject-person = Person
subject-household = Household
kind-person = Person
kind-household = Household
sharing-shared = Shared
sharing-local = Only in this territory
sex-F = Female
sex-M = Male
sex-X = Other
horizon-short = Short
horizon-medium = Medium
horizon-long = Long
decision-continue = Continue
decision-revise = Revise
decision-suspend = Suspend
decision-close = Close
role-case_manager = Case manager
reached-1 = No
reached-2 = In part
reached-3 = Yes
body-SSD = District social service
body-DSM = Mental health department
body-D3D = Addiction department
body-DISS = Health and social integration
body-CPI = Employment centre
body-SIL = SIL
body-COM = Municipality
body-PROV = Province
body-CSS = CSS
body-COR = Guidance centre
body-DPREV = Prevention
body-FP = Training
body-SCU = School
body-IMP = Enterprise
body-ETS = Third sector
kind-TIS = Inclusion traineeship
kind-TIR = Training placement
kind-VOU = Voucher
role-member = Member
outcome-ASSUNTO = Hired
outcome-PROROGA = Goes on or extended
outcome-PASSAGGIO = Another instrument
outcome-CONCLUSO = Ended without outcome
outcome-RINUNCIA = Given up
outcome-SALUTE = Ended for health
outcome-OSPITANTE = Ended by the host
outcome-TRASF = Transferred
code-1 = Another district of the region
code-2 = Another region
code-4 = Need resolved
code-5 = Left on request
code-6 = Returned home
code-7 = Cannot be found
code-8 = Died
code-9 = Other
code-TRASF_LAVORO = Passed to the employment system
code-OBIETTIVI = Goals reached
kind-BL_SSC = Work grant, social service
kind-BL_SIL = Work grant, SIL
kind-BL_DSM = Work grant, mental health
kind-BL_DIP = Work grant, addictions
kind-LAB_OV = Observation workshop
kind-LAB_PR = Sheltered workshop
kind-CM68 = Targeted placement
kind-COOP_B = Social cooperative, type B
kind-LSU = Socially useful work
kind-LPU = Work of public utility
kind-AGR = Social farming
kind-SCOM = Community service
kind-MICRO = Microcredit
kind-ASS = Ordinary hiring
purpose-PRO = Preparatory
purpose-OSS = Observation and assessment
purpose-SOC = Social integration
purpose-LAV = Job placement
yes = yes
no = no
somebody = author not given

section-project = Project
field-ref = Number
field-sharing = Sharing
field-subject = Subject
field-kind = Kind
field-token = Subject code
field-birth_year = Year of birth
field-sex = Sex
field-municipality = Municipality (ISTAT code)
field-minors = Minors
field-need_area = Need area
field-sub_areas = Specific areas
field-opened_on = Opened on
field-state = State
field-team = Team
field-body = Service
field-operator = Operator
field-role = Role
field-from = From
field-until = Until
field-plans = Plans
field-plans-social = Social plan
field-plans-health = Health plan
field-plans-work = Work and training plan
field-goals = Goals
field-text = Text
field-horizon = Horizon
field-due = Due
field-reached = Reached
field-interventions = Interventions
field-type = Type
field-provider = Provider
field-start = Start
field-end = End
field-hours = Hours
field-employability = Employability
field-instruments = Instruments
field-purpose = Purpose
field-host = Host
field-amount_eur = Amount
field-outcome = Outcome
field-code = Code
field-reviews = Reviews
field-on = On
field-bodies = Services present
field-decision = Decision
field-summary = Summary
field-next_on = Next
field-next_review_on = Next review

conflicts-title = To choose: several people wrote at the same time
conflicts-explain = No value was lost. All stay until a person chooses.
overwritten-title = Values written at the same time and not shown
flags-title = To look at
choose-this = Keep this one
choose-explain = The choice stays in the history and can be changed.
value-shown = Value shown
value-other = Other value
value-lost = Value not shown
flag-unknown_code = code not in the list
flag-ref_in_use_twice = number used twice in the territory
flag-invalid_value = value outside the rules
flag-state_out_of_order = state out of sequence
flag-removal_undone = removed by one person and edited by another: it came back
flag-closing_without_outcome = closed without outcome
flag-dates_out_of_order = dates out of order
withheld = Your role does not show all of:
history = History
history-left = { $n ->
    [one] One older item can be read by the office’s programs.
   *[other] { $shown } older items can be read by the office’s programs.
  }
node = node
operation-add = adds
operation-replace = changes
operation-remove = removes
creates-project = creates the project
as-json = This project for programs (JSON)

guidelines = Guidelines
guidelines-caption = Guidelines of the coordination, last changed first
organisations = Organisations
organisations-caption = Organisations of the network, last changed first
nothing-published = There is nothing yet.
name = Name
kind-and-version = Kind and version
validity = Validity
state-draft = Draft
state-consultation = In consultation
state-published = Published
state-superseded = Superseded
state-identified = Identified
state-contacted = Contacted
state-member = Member
state-withdrawn = Withdrawn
type-procedure = Procedure
type-form = Form
type-list = List
type-text = Text
refusal-not_allowed = Your role does not allow it
refusal-malformed = The request cannot be read
refusal-sign_in_needed = A session or a token is needed
refusal-no_such_address = Nothing is served at this address
refusal-no_such_method = This address does not take this method
refusal-invalid = Some values are not allowed: nothing was saved
refusal-too_many_failures = Too many wrong attempts from this address: try again later
refusal-cross_site = The request comes from another site: open this node’s page and repeat it there
refusal-not_ready = The node is not ready yet
refusal-too_large = The request is too large
refusal-not_found = Not found on this node
refusal-not_home = The record belongs to another territory: only its own nodes change it
refusal-ref_in_use = The reference is in use already with other content
refusal-ambiguous = Several territories have this reference: name the territory
refusal-erased = The record was erased for good
refusal-damaged = The record is damaged on this node and comes back from another: try again later
refusal-store_cannot_write = The store cannot write: nothing was kept
refusal-rolled_back = The node fetches back what it lost: until then it only reads
refusal-cloned = Another node uses the same key: the administrator chooses which stays
refusal-stopping = The node is stopping
refusal-test_failed = The value has changed meanwhile: nothing was altered
refusal-unknown_version = That version is not known here: read the record again
refusal-state_cannot_follow = This passage between states is not allowed
refusal-dates_out_of_order = The dates are out of order
refusal-closing_without_outcome = Closing needs an outcome
refusal-refused_again = The entry was refused again
refusal-not_whole = The group of entries is not whole
refusal-unreachable = The other node does not answer
refusal-not_coordination = The coordination decides this: run the command there
refusal-joined_already = The node belongs to a coordination already
refusal-no_such_incarnation = No node with this key started like that
refusal-other_territory = The invitation is for another territory
refusal-other_role = The invitation is for another role
refusal-other_version = The two nodes’ versions do not understand each other: upgrade the older
refusal-key_taken = The node’s key is taken by another
refusal-revoked = The node was revoked
refusal-join_failed = Joining failed
refusal-invitation_expired = The invitation has expired: ask for a new one
refusal-invitation_malformed = The invitation is not whole: copy all of it again
refusal-invitation_refused = The invitation was refused
refusal-invitation_unknown = The invitation is not known where it was redeemed
refusal-invitation_used = The invitation was used already
rule-required = A value is needed
rule-wrong_type = The value is of another type
rule-not_allowed = Choose one of the allowed values
rule-not_a_date = Write a date as 2026-03-04
rule-not_an_instant = Write an instant as 2026-03-04T09:00:00Z
rule-not_money = Write an amount in euro with at most two decimals
rule-out_of_range = The number is out of range
rule-too_long = The text is too long
rule-too_large = The record would be too large
rule-too_deep = The value is nested too deeply
rule-bad_code = A code is a short text and not empty
rule-bad_name = The name of the field is not allowed
rule-reserved_field = The node itself writes this field
rule-path_not_found = There is no such field in the record
rule-not_a_pointer = The path is no JSON pointer
rule-operation_not_supported = The operations add, replace, remove and test are allowed
rule-state_cannot_follow = That state does not follow this one
rule-dates_out_of_order = The end cannot come before the beginning
rule-closing_without_outcome = Give the outcome before closing
rule-unknown_member = This part of the line is not known
rule-unknown_kind = This kind of record is not known
rule-ref_differs = The record’s reference is not the line’s

record-project = Project
record-guideline = Guideline
record-organisation = Organisation
record-person = Person
record-household = Household
record-casefile = Casefile
record-contact = Contact
record-resource = Resource
record-activity = Activity
state-registered = Registered
state-merged = Merged into another
state-deceased = Deceased
state-dissolved = Dissolved
state-open = Open
state-offered = Offered
state-paused = Paused
state-recorded = Recorded
state-corrected = Corrected
state-proposed = Proposed
state-signed = Signed
state-revised = Revised
state-sent = Sent
state-delivered = Delivered
state-accepted = Accepted
state-rejected = Rejected
state-assigned = Assigned
state-partly_spent = Partly spent
state-exhausted = Exhausted
state-expired = Expired
state-revoked = Revoked
flag-state_cannot_follow = state that cannot follow
rule-decision_without_quorum = A result needs the votes of all bodies of the quorum: add the missing votes or leave the result open.
refusal-decision_without_quorum = Decision without the required votes
flag-decision_without_quorum = decision without the required votes
rule-field_is_fixed = This field is set when the record is made: for another value make another record.
refusal-field_is_fixed = Fixed field changed after creation
flag-field_is_fixed = fixed field changed after creation
rule-instrument_too_long = The instrument lasts longer or shorter than allowed: correct the dates or give the extension.
refusal-instrument_too_long = Duration of the instrument out of its limits
flag-instrument_too_long = duration of the instrument out of its limits
rule-locked_by_transfer = The project is being transferred: until the answer only reviews may be added.
refusal-locked_by_transfer = Changed while being transferred
flag-locked_by_transfer = changed while being transferred
rule-referral_state = The referral cannot pass to this state: send another one.
refusal-referral_state = Referral out of sequence
flag-referral_state = referral out of sequence
rule-sharing_is_fixed = Sharing is decided when the record is made and does not change.
refusal-sharing_is_fixed = Sharing changed after creation
flag-sharing_is_fixed = sharing changed after creation
rule-activated_without_signatures = A project becomes active once every body has signed its plan as it is: collect the missing signatures.
refusal-activated_without_signatures = Activated without the signatures of the bodies
flag-activated_without_signatures = activated without the signatures of the bodies
rule-signature_to_renew = The plan was edited after it was signed: have it signed again.
refusal-signature_to_renew = Signature to be renewed
flag-signature_to_renew = signature to be renewed
rule-vote_without_body = A vote is given by a body: say which.
refusal-vote_without_body = Vote without a body
flag-vote_without_body = vote without a body
rule-voucher_overspent = More was spent than the voucher is worth: correct what was spent or issue another voucher.
refusal-voucher_overspent = Voucher overspent
flag-voucher_overspent = voucher overspent
rule-voucher_spent_outside_validity = Spent outside the validity of the voucher: correct the date or the validity.
refusal-voucher_spent_outside_validity = Voucher spent outside its validity
flag-voucher_spent_outside_validity = voucher spent outside its validity
rule-bad_fiscal_code = The fiscal code is not right: check its 16 characters, in upper case.
refusal-bad_fiscal_code = Fiscal code not valid
flag-bad_fiscal_code = fiscal code not valid

# Persons, pseudonyms, erasure
refusal-fiscal_code_in_use = Another record has this fiscal code: use that one, or merge the two
refusal-merge_in_a_circle = The two records would be merged into each other: undo the other merge first
refusal-protected_subject = Protected person: the project stays in the territory
rule-protected_subject = The person is protected and a shared project goes to the coordination: create it with sharing local.
refusal-person_in_project = A project does not carry the person's name
rule-person_in_project = A project does not store whose it is: name the person when it is created, or add the project to their casefile.
refusal-identity_in_shared_record = An identity does not go into a shared record
rule-identity_in_shared_record = A fiscal code stands in this text and the record goes to the coordination: write it without.
refusal-legal_hold = A legal hold forbids the erasure
refusal-retention = The retention period is not over
flag-possible_duplicate = The same person may have another record
flag-fiscal_code_in_use_twice = Another record has the same fiscal code
record-erasure_order = Order of erasure
state-ordered = Ordered
state-completed = Completed
