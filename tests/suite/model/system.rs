//! What may happen, and what comes of it.

use tokensmith::domain::rotation::{Chain, Decision, Generation};

use super::design::Store;
use super::explorer::{Change, Model};
use super::setting::{Assumption, Fault, Keys, Setting, Theft};
use super::world::{
    Backup, Client, Few, History, Key, MOST_TABS, Order, Party, Phase, Request, Row, Serving,
    Session, Thief, Tick, Use, World, instant, tick,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// So much time passes that what was made before is outside the retry window.
    WindowPasses,
    BackupIsTaken,
    BackupIsPutBack,
    /// Something that has to do with one session.
    In(usize, Happening),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// A tab uses the stored token.
    Sends(u8),
    /// A client forgets what it waits for.
    Restarts,
    /// A request, or a copy of it, comes to a server, which reads its clock and the row and decides.
    Arrives(Request, Tick),
    /// A request comes to a server that remembers the session. It takes the token for the current
    /// one, without a look at the row: the write will tell.
    IsTrusted(Request, Tick),
    /// A server writes what it decided, or finds that it has to decide again.
    Writes(Serving, Tick),
    /// An answer comes back.
    ComesBack(Serving),
    /// A server stops, or an answer is lost.
    IsLost(Serving),
}

impl Setting {
    pub(super) fn decision(&self, request: Request, row: Row, at: Tick) -> Decision {
        (self.design.decide)(
            &row.chain(),
            !row.has_ended,
            &request.presented(),
            instant(at),
            &self.policy(),
        )
    }

    /// What a tab would send, were it to use the stored token.
    pub(super) fn next_request(&self, client: &Client, tab: u8) -> Request {
        let generation = client.stored;
        let key = match self.keys {
            Keys::Never => None,
            Keys::ForEachRequest => Some(Key::Request {
                tab,
                generation,
                restarts: client.restarts,
            }),
            Keys::BesideTheToken => Some(Key::Token(generation)),
        };
        Request {
            from: Party::Tab(tab),
            generation,
            key,
        }
    }

    /// What a thief may send with a token that it has or is about to steal.
    pub(super) fn thefts(&self, session: &Session, generation: Generation) -> Vec<Request> {
        let stolen = session.thief.stolen;
        let knows_keys = match self.theft {
            Theft::Never => return Vec::new(),
            Theft::OfAToken => false,
            Theft::OfAStore => stolen.is_none_or(|stolen| stolen == generation),
            Theft::OfEveryKey => true,
        };
        // Without knowing one it sends one of its own, or none where that is usual.
        let mut keys = vec![(self.keys != Keys::Never).then_some(Key::Thief)];
        if knows_keys {
            let client = Client {
                stored: generation,
                ..session.client
            };
            keys.extend((0..self.tabs).map(|tab| self.next_request(&client, tab).key));
        }
        let requests = keys.into_iter().map(|key| Request {
            from: Party::Thief,
            generation,
            key,
        });
        requests.collect()
    }

    fn events_in(&self, session: &Session, now: Tick) -> Vec<Happening> {
        let clocks = if self.allows(Fault::SlowClock) {
            now.saturating_sub(1)..=now
        } else {
            now..=now
        };
        let client = &session.client;
        let mut events = Vec::new();
        let may_send = !client.is_logged_out
            && client.stored < self.last_generation
            && (!self.assumes(Assumption::TokensSettle) || has_settled(session));
        if may_send {
            let idle = (0..self.tabs).filter(|tab| client.waiting[usize::from(*tab)].is_none());
            events.extend(idle.map(Happening::Sends));
        }
        if self.allows(Fault::ClientRestart) && client.restarts == 0 {
            events.push(Happening::Restarts);
        }
        if session.at_servers.iter().len() < self.at_once {
            let copies = session.on_the_way.iter();
            for request in copies.chain(self.all_thefts(session)) {
                for at in clocks.clone() {
                    events.push(Happening::Arrives(request, at));
                    events.push(Happening::IsTrusted(request, at));
                }
            }
        }
        for serving in session.at_servers.iter() {
            events.push(Happening::IsLost(serving));
            match serving.phase {
                Phase::ToWrite(_) => {
                    events.extend(clocks.clone().map(|at| Happening::Writes(serving, at)));
                }
                Phase::ToAnswer(_) => events.push(Happening::ComesBack(serving)),
            }
        }
        events
    }

    /// What a thief may send now. Stealing is no event of its own: nothing depends on when it
    /// happens but what it is used for first.
    fn all_thefts(&self, session: &Session) -> Vec<Request> {
        let tokens: Vec<_> = match session.thief.stolen {
            Some(_) => session.thief.tokens.iter().collect(),
            None => session.history.tokens().collect(),
        };
        let usable = tokens.into_iter().filter(|g| *g < self.last_generation);
        usable.flat_map(|g| self.thefts(session, g)).collect()
    }

    fn time_may_pass(&self, world: &World) -> bool {
        let in_time = self.assumes(Assumption::AnswersComeInTime);
        world.now < self.ticks
            && world.sessions.iter().all(|session| {
                let is_used_in_time = world.now + 1 < session.history.kept_until;
                is_used_in_time && (!in_time || !is_unfinished(session))
            })
    }

    fn let_time_pass(&self, world: &mut World) {
        world.now += 1;
        if self.assumes(Assumption::AnswersComeInTime) {
            for session in &mut world.sessions {
                session.on_the_way = Few::default();
            }
        }
    }

    fn let_happen(&self, world: &mut World, index: usize, happening: Happening) {
        let session = &mut world.sessions[index];
        match happening {
            Happening::Sends(tab) => {
                let request = self.next_request(&session.client, tab);
                if self.assumes(Assumption::TokensSettle) {
                    let current = request.generation;
                    session.on_the_way.retain(|copy| copy.generation == current);
                }
                session.client.waiting[usize::from(tab)] = Some(request);
                session.on_the_way.insert(request);
            }
            Happening::Restarts => {
                session.client.restarts += 1;
                session.client.waiting.fill(None);
                forget_unwanted_answers(session);
            }
            Happening::Arrives(request, at) => {
                note_theft(session, request);
                self.read(session, request, at);
            }
            Happening::IsTrusted(request, at) => {
                note_theft(session, request);
                self.trust(session, request, at);
            }
            Happening::Writes(serving, at) => {
                session.at_servers.remove(serving);
                if let Phase::ToWrite(order) = serving.phase {
                    self.write(world, index, (serving.request, order), at);
                }
            }
            Happening::ComesBack(serving) => {
                session.at_servers.remove(serving);
                if let Phase::ToAnswer(token) = serving.phase {
                    receive(&mut session.client, serving.request, token);
                }
                if self.assumes(Assumption::NoCopyComesLater) {
                    session.on_the_way.remove(serving.request);
                    session
                        .at_servers
                        .retain(|other| other.request != serving.request);
                }
                forget_unwanted_answers(session);
            }
            Happening::IsLost(serving) => session.at_servers.remove(serving),
        }
    }

    /// Reads the row and decides. What needs no writing is answered at once: an answer may take as
    /// long as it likes to come back.
    fn read(&self, session: &mut Session, request: Request, at: Tick) {
        let row = session.row;
        let order = match self.decision(request, row, at) {
            Decision::Rotate(step) | Decision::CatchUp(step) => Order::from(step),
            Decision::Reuse => Order::End,
            Decision::Repeat => {
                if self.design.store == Store::WritesOnRepeat {
                    session.row.rotated_at = at;
                }
                return honour(session, request, row.generation, at);
            }
            Decision::Keep => return honour(session, request, request.generation, at),
            Decision::Dead => return answer(session, request, None),
        };
        session.at_servers.insert(Serving {
            request,
            phase: Phase::ToWrite(order),
        });
    }

    /// Takes a token for the current one of a session that was used just now. Anything but a
    /// rotation sends the server to the row.
    fn trust(&self, session: &mut Session, request: Request, at: Tick) {
        let assumed = Row {
            generation: request.generation,
            ..Row::from(Chain::new(instant(at), &self.policy()))
        };
        match self.decision(request, assumed, at) {
            Decision::Rotate(step) => session.at_servers.insert(Serving {
                request,
                phase: Phase::ToWrite(Order::from(step)),
            }),
            _ => self.read(session, request, at),
        }
    }

    fn write(&self, world: &mut World, index: usize, (request, order): (Request, Order), at: Tick) {
        let Some(step) = order.step() else {
            for (other, session) in world.sessions.iter_mut().enumerate() {
                let is_meant = other == index || self.design.store == Store::EndsEverySession;
                session.row.has_ended |= is_meant;
            }
            let session = &mut world.sessions[index];
            session.history.was_replayed = true;
            return answer(session, request, None);
        };
        let session = &mut world.sessions[index];
        if !self.design.store.moves(&mut session.row, &step) {
            // Nothing happens between the two, for that is the same as a later write.
            return self.read(session, request, at);
        }
        let history = &mut session.history;
        history.newest = history.newest.max(step.to);
        history.kept_until = history.kept_until.max(session.row.idle_expires_at);
        honour(session, request, step.to, tick(step.at));
    }
}

impl Model for Setting {
    type State = World;
    type Event = Event;

    fn beginning(&self) -> World {
        let row = Row::from(Chain::new(instant(0), &self.policy()));
        let session = Session {
            row,
            client: Client {
                stored: Generation::FIRST,
                waiting: [None; MOST_TABS],
                restarts: 0,
                is_logged_out: false,
            },
            on_the_way: Few::default(),
            at_servers: Few::default(),
            thief: Thief::default(),
            history: History {
                newest: Generation::FIRST,
                kept_until: row.idle_expires_at,
                was_replayed: false,
                uses: Few::default(),
            },
        };
        World {
            now: 0,
            sessions: vec![session; self.sessions],
            backup: Backup::NotYet,
        }
    }

    fn events(&self, world: &World) -> Vec<Event> {
        let mut events = Vec::new();
        if self.time_may_pass(world) {
            events.push(Event::WindowPasses);
        }
        if self.allows(Fault::Restore) {
            match world.backup {
                Backup::NotYet => events.push(Event::BackupIsTaken),
                Backup::Taken(_) => events.push(Event::BackupIsPutBack),
                Backup::PutBack => {}
            }
        }
        for (index, session) in world.sessions.iter().enumerate() {
            let happenings = self.events_in(session, world.now).into_iter();
            events.extend(happenings.map(|happening| Event::In(index, happening)));
        }
        events
    }

    fn after(&self, world: &World, event: Event) -> World {
        let mut world = world.clone();
        match event {
            Event::WindowPasses => self.let_time_pass(&mut world),
            Event::BackupIsTaken => {
                let rows = world.sessions.iter().map(|session| session.row).collect();
                world.backup = Backup::Taken(rows);
            }
            Event::BackupIsPutBack => put_back(&mut world),
            Event::In(index, happening) => self.let_happen(&mut world, index, happening),
        }
        world
    }

    fn describe(&self, change: &Change<'_, Self>) -> String {
        self.tell(change)
    }
}

/// Whether all that is still on its way has to do with the stored token. Copies in the network are
/// not asked: they are taken away when the next token is used.
fn has_settled(session: &Session) -> bool {
    let stored = session.client.stored;
    let waiting = session.client.waiting.into_iter().flatten();
    let served = session.at_servers.iter().map(|serving| serving.request);
    waiting
        .chain(served.filter(|request| request.from != Party::Thief))
        .all(|request| request.generation == stored)
}

fn is_unfinished(session: &Session) -> bool {
    let is_waiting = session.client.waiting.iter().any(Option::is_some);
    let mut served = session.at_servers.iter();
    is_waiting || served.any(|serving| serving.request.from != Party::Thief)
}

fn note_theft(session: &mut Session, request: Request) {
    if request.from == Party::Thief && session.thief.stolen.is_none() {
        session.thief.stolen = Some(request.generation);
        session.thief.tokens.insert(request.generation);
    }
}

/// Answers with a token.
fn honour(session: &mut Session, request: Request, token: Generation, decided_at: Tick) {
    let is_thief = request.from == Party::Thief;
    let generation = request.generation;
    let uses = &mut session.history.uses;
    let known = uses.iter().find(|used| used.generation == generation);
    let mut used = known.unwrap_or(Use {
        generation,
        first_by_thief: is_thief,
        first_at: decided_at,
        last_by_other: None,
        answers: (token, token),
    });
    if used.first_by_thief != is_thief {
        used.last_by_other = used.last_by_other.max(Some(decided_at));
    }
    used.answers = (used.answers.0.min(token), used.answers.1.max(token));
    uses.retain(|other| other.generation != generation);
    uses.insert(used);
    answer(session, request, Some(token));
}

/// Sends an answer. A thief has it at once: one who misses it is one who does not use it.
fn answer(session: &mut Session, request: Request, token: Option<Generation>) {
    if request.from == Party::Thief {
        if let Some(token) = token {
            session.thief.tokens.insert(token);
        }
        return;
    }
    session.at_servers.insert(Serving {
        request,
        phase: Phase::ToAnswer(token),
    });
    forget_unwanted_answers(session);
}

/// Drops the answers that nobody waits for any more: they change nothing.
fn forget_unwanted_answers(session: &mut Session) {
    let waiting = &session.client.waiting;
    session.at_servers.retain(|serving| {
        matches!(serving.phase, Phase::ToWrite(_)) || waiting.contains(&Some(serving.request))
    });
}

/// Takes an answer. The new token is stored only in the place of the one that was sent.
fn receive(client: &mut Client, request: Request, token: Option<Generation>) {
    for waiting in &mut client.waiting {
        if *waiting == Some(request) {
            *waiting = None;
        }
    }
    match token {
        Some(token) if client.stored == request.generation => client.stored = token,
        Some(_) => {}
        None => {
            client.is_logged_out = true;
            client.waiting.fill(None);
        }
    }
}

fn put_back(world: &mut World) {
    let Backup::Taken(rows) = std::mem::replace(&mut world.backup, Backup::PutBack) else {
        return;
    };
    for (session, row) in world.sessions.iter_mut().zip(rows) {
        session.row = row;
        session.history.was_replayed = row.has_ended;
        // What was done with older tokens is in the past of the restored row, too.
        let uses = &mut session.history.uses;
        uses.retain(|used| used.generation < row.generation);
    }
}
