//! Visits every state that a model can get into, nearest first, so that what breaks a claim is
//! found by the shortest way there.

use std::fmt;
use std::hash::Hash;

use indexmap::IndexSet;

/// A model with more states than this has outgrown its bounds, or has none.
const MOST_STATES: usize = 500_000;

/// Something with finitely many states.
pub(super) trait Model {
    /// All that the future depends on.
    type State: Clone + Eq + Hash;
    /// What may happen in a state.
    type Event: Copy;

    fn beginning(&self) -> Self::State;
    fn events(&self, state: &Self::State) -> Vec<Self::Event>;
    fn after(&self, state: &Self::State, event: Self::Event) -> Self::State;
    /// Says what happened, for people.
    fn describe(&self, change: &Change<'_, Self>) -> String;
}

/// One event with what was before and what is after it.
pub(super) struct Change<'a, M: Model + ?Sized> {
    pub(super) before: &'a M::State,
    pub(super) event: M::Event,
    pub(super) after: &'a M::State,
}

/// Something that is true or false of a change.
pub(super) struct Claim<M: Model> {
    pub(super) name: &'static str,
    pub(super) is_true: fn(&M, &Change<'_, M>) -> bool,
}

/// What is to be found out about a model.
pub(super) struct Questions<'a, M: Model> {
    /// True of every change.
    pub(super) always: &'a [Claim<M>],
    /// True of at least one change, or the model has not been where it claims to have been.
    pub(super) sometimes: &'a [Claim<M>],
    /// Wherever the model got to, from there it can get to a change of which this is true: what is
    /// tried for long enough succeeds.
    pub(super) possible_from_everywhere: &'a [Claim<M>],
}

impl<M: Model> Questions<'_, M> {
    pub(super) const NONE: Self = Self {
        always: &[],
        sometimes: &[],
        possible_from_everywhere: &[],
    };
}

/// What an exploration came to.
pub(super) struct Exploration {
    /// How many different states were found.
    pub(super) states: usize,
    /// What should have been seen and was not.
    pub(super) unseen: Vec<&'static str>,
    /// The shortest way to break a claim.
    pub(super) violation: Option<Violation>,
}

/// A broken claim, and how it came to that.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) claim: &'static str,
    pub(super) story: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "it does not hold that {}:", self.claim)?;
        for (number, step) in self.story.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", number + 1)?;
        }
        Ok(())
    }
}

/// Explores a model until a claim breaks or there is nothing left to see.
pub(super) fn explore<M: Model>(model: &M, questions: &Questions<'_, M>) -> Exploration {
    let mut map = Map {
        model,
        found: IndexSet::from([model.beginning()]),
        origins: vec![None],
        ways_back: vec![Vec::new()],
    };
    let mut unseen: Vec<_> = questions.sometimes.iter().collect();
    let goals = questions.possible_from_everywhere;
    let mut at_goal = vec![Vec::new(); goals.len()];
    let mut violation = None;
    let mut here = 0;
    while let Some(before) = map.found.get_index(here).cloned() {
        for event in model.events(&before) {
            let after = model.after(&before, event);
            let change = Change {
                before: &before,
                event,
                after: &after,
            };
            unseen.retain(|sight| !(sight.is_true)(model, &change));
            let is_goal: Vec<_> = goals
                .iter()
                .map(|goal| (goal.is_true)(model, &change))
                .collect();
            let mut claims = questions.always.iter();
            if let Some(broken) = claims.find(|claim| !(claim.is_true)(model, &change)) {
                let last = model.describe(&change);
                violation = Some(map.violation(broken, here, Some(last)));
            }
            let there = map.add(here, event, after);
            for (reached, _) in at_goal
                .iter_mut()
                .zip(is_goal)
                .filter(|(_, is_goal)| *is_goal)
            {
                reached.push(there);
            }
        }
        if violation.is_some() {
            break;
        }
        here += 1;
    }
    if violation.is_none() {
        violation = goals.iter().zip(&at_goal).find_map(|(goal, reached)| {
            let stuck = map.first_that_cannot_reach(reached)?;
            Some(map.violation(goal, stuck, None))
        });
    }
    Exploration {
        states: map.found.len(),
        unseen: unseen.iter().map(|sight| sight.name).collect(),
        violation,
    }
}

/// The states that were found, by number.
struct Map<'a, M: Model> {
    model: &'a M,
    found: IndexSet<M::State>,
    /// From where, and by what, each state was found. The first was there.
    origins: Vec<Option<(usize, M::Event)>>,
    /// From where each state can be reached in one step.
    ways_back: Vec<Vec<usize>>,
}

impl<M: Model> Map<'_, M> {
    /// Answers with the number of the state, be it new or not.
    fn add(&mut self, from: usize, event: M::Event, state: M::State) -> usize {
        let (number, is_new) = self.found.insert_full(state);
        if is_new {
            assert!(number < MOST_STATES, "the model has too many states");
            self.origins.push(Some((from, event)));
            self.ways_back.push(Vec::new());
        }
        self.ways_back[number].push(from);
        number
    }

    fn first_that_cannot_reach(&self, goal: &[usize]) -> Option<usize> {
        let mut can = vec![false; self.found.len()];
        let mut to_visit = goal.to_vec();
        while let Some(number) = to_visit.pop() {
            if !can[number] {
                can[number] = true;
                to_visit.extend(&self.ways_back[number]);
            }
        }
        can.iter().position(|can| !can)
    }

    fn violation(&self, broken: &Claim<M>, mut at: usize, last: Option<String>) -> Violation {
        let mut story = Vec::from_iter(last);
        while let Some((from, event)) = self.origins[at] {
            story.push(self.model.describe(&Change {
                before: &self.found[from],
                event,
                after: &self.found[at],
            }));
            at = from;
        }
        story.reverse();
        Violation {
            claim: broken.name,
            story,
        }
    }
}
