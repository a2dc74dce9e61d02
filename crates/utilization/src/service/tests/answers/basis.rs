//! Every number says what it stands on: the day it is as of, the definitions, and how much of its window is covered.

use tidemark_rpc::scope::METHODS;

use super::{contract::contract, export::lines, *};

/// What is asked of the service without a number in the answer.
const NO_NUMBERS: [&str; 7] = [
    "AcceptRecommendation",
    "EndExemption",
    "GetContract",
    "ListExemptions",
    "SetContract",
    "SetExemption",
    "WithdrawAcceptance",
];

/// A workspace with a gap nine days before the as-of day, asked for every number it has.
struct Asked {
    sample: Sample,
    process: Process,
    /// Covered days by the window's length.
    covered: BTreeMap<u32, u32>,
    methods: BTreeSet<&'static str>,
}

impl Asked {
    async fn of_a_gap() -> Self {
        let (sample, process) = ready_with((0..DAYS).filter(|day| *day != DAYS - 10)).await;
        let terms = wire::Contract { target_percent: Some(100), ..contract(100) };
        let set = wire::SetContractRequest { connection_id: id(&sample), contract: Some(terms) };
        process.client.clone().set_contract(set).await.unwrap();
        let covered = sample.expected().windows.iter().map(|it| (it.days, it.covered_days)).collect();
        assert_eq!(covered, BTreeMap::from([(1, 1), (7, 7), (28, 27), (90, 89)]));
        Self { sample, process, covered, methods: BTreeSet::new() }
    }

    /// Every answer names the day and the definitions.
    fn stands(&mut self, method: &'static str, basis: Option<wire::Basis>) {
        let basis = basis.unwrap_or_else(|| panic!("{method} has no basis"));
        let expected = (at(DAYS - 1).to_string(), at(0).to_string(), 1);
        assert_eq!((basis.as_of, basis.history_start, basis.definition_version), expected, "{method}");
        self.methods.insert(method);
    }

    /// A window tells its coverage, and its shares their halves.
    fn window(&self, window: &wire::WindowUse) {
        assert_eq!(window.covered_days, self.covered[&window.days]);
        let used = window.seat_utilization.as_ref().unwrap();
        assert_eq!((used.numerator, used.denominator), halves(window.active_seats, window.assigned_seats));
        for area in &window.areas {
            let adoption = area.adoption.as_ref().unwrap();
            assert_eq!((adoption.numerator, adoption.denominator), halves(area.members, window.active_seats));
        }
    }

    fn seat(&self, seat: &wire::Seat) {
        assert_eq!(seat.covered_days_90, 89);
        assert_eq!(seat.uses.iter().map(|used| used.days).collect::<Vec<_>>(), [7, 28, 90]);
        for used in &seat.uses {
            assert_eq!(used.covered_days, self.covered[&used.days], "{} days", used.days);
            assert_eq!(used.depth.as_ref().unwrap().denominator, Some(used.active_days.into()));
            let actions = used.depth.as_ref().unwrap().numerator;
            assert_eq!(used.view_only_share.as_ref().unwrap().denominator, Some(actions));
        }
    }

    async fn summary(&mut self) {
        let asked = GetSummaryRequest { connection_id: id(&self.sample) };
        let answer = self.process.client.clone().get_summary(asked).await.unwrap().into_inner();
        let summary = answer.summary.unwrap();
        summary.windows.iter().for_each(|window| self.window(window));
        let of = |days| summary.windows.iter().find(|window| window.days == days).unwrap();
        for idle in &summary.idle {
            let seats: u32 = idle.states.iter().map(|state| state.seats).sum();
            assert_eq!(
                seats,
                of(idle.days).idle_seats,
                "idle seats are those of a window, with its coverage"
            );
        }
        let (month, price) = (of(28), summary.price_per_seat_month.as_ref().unwrap().minor);
        let cost = u64::from(month.assigned_seats) * price / u64::from(month.active_seats);
        assert_eq!(summary.cost_per_active_seat.as_ref().unwrap().minor, cost);
        let stickiness = summary.stickiness.as_ref().unwrap();
        let expected = halves(month.daily_actives, 28 * month.active_members);
        assert_eq!((stickiness.numerator, stickiness.denominator), expected);
        self.stands("GetSummary", summary.basis);
    }

    async fn windows(&mut self) {
        let (mut client, connection_id) = (self.process.client.clone(), id(&self.sample));
        let day = at(DAYS - 1).to_string();
        let asked = wire::GetTrendRequest {
            connection_id: connection_id.clone(),
            from: day.clone(),
            ..Default::default()
        };
        let trend = client.get_trend(asked).await.unwrap().into_inner();
        assert_eq!(trend.points[0].day, day);
        self.window(trend.points[0].window.as_ref().unwrap());
        self.stands("GetTrend", trend.basis);

        let asked = wire::ListCutsRequest { connection_id: connection_id.clone(), ..Default::default() };
        let cuts = client.list_cuts(asked).await.unwrap().into_inner();
        assert!(!cuts.cuts.is_empty());
        cuts.cuts.iter().for_each(|cut| self.window(cut.window.as_ref().unwrap()));
        self.stands("ListCuts", cuts.basis);

        let asked = wire::GetFeatureAdoptionRequest { connection_id, ..Default::default() };
        let adoption = client.get_feature_adoption(asked).await.unwrap().into_inner();
        assert_eq!(adoption.windows.len(), 3);
        adoption.windows.iter().for_each(|window| self.window(window));
        self.stands("GetFeatureAdoption", adoption.basis);
    }

    async fn seats(&mut self) {
        let (mut client, connection_id) = (self.process.client.clone(), id(&self.sample));
        let asked = wire::ListSeatsRequest {
            connection_id: connection_id.clone(),
            weeks: true,
            ..Default::default()
        };
        let listed = client.list_seats(asked.clone()).await.unwrap().into_inner();
        listed.seats.iter().for_each(|seat| self.seat(seat));
        let mut weeks = [7; 13];
        weeks[11] = 6;
        assert_eq!(listed.covered_days_by_week, weeks, "the gap lies in the week before the last");
        self.stands("ListSeats", listed.basis);
        let asked = wire::ListSeatsRequest { weeks: false, ..asked };
        let listed = client.list_seats(asked).await.unwrap().into_inner();
        assert!(listed.covered_days_by_week.is_empty());

        let asked = wire::ListRecommendationsRequest { connection_id, ..Default::default() };
        let listed = client.list_recommendations(asked).await.unwrap().into_inner();
        assert!(!listed.recommendations.is_empty());
        listed.recommendations.iter().for_each(|it| self.seat(it.seat.as_ref().unwrap()));
        self.stands("ListRecommendations", listed.basis);
    }

    async fn renewal_and_coverage(&mut self) {
        let (mut client, connection_id) = (self.process.client.clone(), id(&self.sample));
        let asked = wire::PreviewRenewalRequest { connection_id: connection_id.clone(), drop_seats: 1 };
        let preview = client.preview_renewal(asked).await.unwrap().into_inner();
        assert_eq!(preview.covered_days, self.covered[&28]);
        assert_eq!(preview.utilization.unwrap().denominator, Some(preview.purchased_seats.into()));
        self.stands("PreviewRenewal", preview.basis);

        let asked = wire::GetCoverageRequest { connection_id };
        let coverage = client.get_coverage(asked).await.unwrap().into_inner();
        for window in &coverage.windows {
            let share = window.coverage.as_ref().unwrap();
            let expected = halves(self.covered[&window.days], window.days);
            assert_eq!((share.numerator, share.denominator), expected);
        }
        self.stands("GetCoverage", coverage.basis);
    }

    /// An alert names its day, its definitions and its halves; what is not covered whole is not told at all.
    async fn alerts(&mut self) {
        let organization =
            self.sample.store().organization_of(&self.sample.connection).await.unwrap().unwrap();
        let asked =
            wire::ListAlertsRequest { organization_id: organization.to_string(), ..Default::default() };
        let told = until(async || {
            let listed = self.process.client.clone().list_alerts(asked.clone()).await.unwrap().into_inner();
            Some(listed.alerts).filter(|alerts| !alerts.is_empty())
        })
        .await;
        let [over] = &told[..] else { panic!("the month's utilization is not known: {told:?}") };
        assert_eq!((&*over.kind, &over.as_of), ("over_allocated", &at(DAYS - 1).to_string()));
        assert_eq!(over.definition_version, 1);
        let share = over.share.as_ref().unwrap();
        let assigned = self.sample.expected().windows[0].assigned_seats;
        assert_eq!((share.numerator, share.denominator), halves(assigned, 100));
        self.methods.insert("ListAlerts");
    }

    async fn exports(&mut self) {
        for table in [
            wire::ExportTable::Summary,
            wire::ExportTable::MemberDays,
            wire::ExportTable::Seats,
            wire::ExportTable::Recommendations,
        ] {
            let (rows, basis) = lines(&self.process, &self.sample, table).await;
            self.stands("Export", Some(basis));
            for row in rows.iter().filter(|row| row.contains_key("covered_days_90")) {
                for days in [7, 28, 90] {
                    assert_eq!(row[&format!("covered_days_{days}")], self.covered[&days].to_string());
                }
            }
        }
    }
}

fn halves(numerator: u32, denominator: u32) -> (u64, Option<u64>) {
    (numerator.into(), Some(denominator.into()))
}

#[tokio::test]
async fn every_number_says_what_it_stands_on() {
    let mut asked = Asked::of_a_gap().await;
    asked.summary().await;
    asked.windows().await;
    asked.seats().await;
    asked.renewal_and_coverage().await;
    asked.alerts().await;
    asked.exports().await;

    let own = METHODS.iter().filter_map(|(method, _)| method.strip_prefix("tidemark.utilization.v1."));
    let own: BTreeSet<_> = own.filter_map(|method| method.strip_prefix("UtilizationService/")).collect();
    let known: BTreeSet<_> = asked.methods.iter().copied().chain(NO_NUMBERS).collect();
    assert_eq!(known, own, "a method is either asked here, or has no numbers");
    asked.process.stop().await;
}
