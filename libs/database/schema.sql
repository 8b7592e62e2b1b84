CREATE TABLE api_key (
  id uuid NOT NULL,
  number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  organization_id uuid NOT NULL,
  project_id uuid,
  name text NOT NULL,
  description text,
  external_id text,
  owner_note text,
  metadata jsonb NOT NULL,
  public_key text NOT NULL,
  prefix text NOT NULL,
  imported boolean NOT NULL,
  environment text NOT NULL,
  scopes text[] NOT NULL,
  allowed_domains text[] NOT NULL,
  public_scopes text[],
  allowed_ips text[] NOT NULL,
  rate_limits jsonb NOT NULL,
  accountable_user_id uuid NOT NULL,
  own_keys_only boolean NOT NULL,
  created_by_type text NOT NULL,
  created_by_id uuid NOT NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone,
  rotated_at timestamp with time zone,
  disabled_at timestamp with time zone,
  enabled_at timestamp with time zone,
  revoked_at timestamp with time zone,
  deleted_at timestamp with time zone,
  leak jsonb,
  version integer NOT NULL,
  CONSTRAINT api_key_accountable_user_id_fkey FOREIGN KEY (accountable_user_id) REFERENCES user_account(id),
  CONSTRAINT api_key_environment_check CHECK ((environment = ANY (ARRAY['test'::text, 'live'::text]))),
  CONSTRAINT api_key_number_key UNIQUE (number),
  CONSTRAINT api_key_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT api_key_pkey PRIMARY KEY (id),
  CONSTRAINT api_key_project_id_fkey FOREIGN KEY (project_id) REFERENCES project(id),
  CONSTRAINT api_key_public_key_key UNIQUE (public_key)
);
CREATE INDEX api_key_accountable_user_id ON public.api_key USING btree (accountable_user_id, organization_id, number);
CREATE INDEX api_key_allowed_domains ON public.api_key USING gin (allowed_domains) WHERE ((revoked_at IS NULL) AND (disabled_at IS NULL) AND (allowed_domains <> '{}'::text[]));
CREATE INDEX api_key_deleted ON public.api_key USING btree (organization_id) WHERE (deleted_at IS NOT NULL);
CREATE INDEX api_key_expires_at ON public.api_key USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX api_key_external_id ON public.api_key USING btree (organization_id, external_id) WHERE (external_id IS NOT NULL);
CREATE INDEX api_key_name ON public.api_key USING btree (organization_id, name) WHERE (revoked_at IS NULL);
CREATE INDEX api_key_organization_id ON public.api_key USING btree (organization_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX api_key_project_id ON public.api_key USING btree (project_id, number) WHERE (project_id IS NOT NULL);
CREATE INDEX api_key_service ON public.api_key USING btree (id) WHERE ((scopes @> '{deployment:verify}'::text[]) AND (revoked_at IS NULL));
CREATE TRIGGER count_created AFTER INSERT ON public.api_key REFERENCING NEW TABLE AS created FOR EACH STATEMENT EXECUTE FUNCTION count_created_api_keys();
CREATE TRIGGER count_revoked AFTER UPDATE ON public.api_key FOR EACH ROW WHEN (((old.revoked_at IS NULL) AND (new.revoked_at IS NOT NULL))) EXECUTE FUNCTION count_revoked_api_key();
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key FOR EACH ROW WHEN ((((((new.id IS DISTINCT FROM old.id) OR (new.organization_id IS DISTINCT FROM old.organization_id)) OR (new.accountable_user_id IS DISTINCT FROM old.accountable_user_id)) OR (new.number IS DISTINCT FROM old.number)) OR ((old.revoked_at IS NOT NULL) AND (new.revoked_at IS DISTINCT FROM old.revoked_at)) OR ((old.deleted_at IS NOT NULL) AND (new.deleted_at IS NULL)) OR ((old.expires_at < (now() - '00:01:00'::interval)) AND (new.expires_at IS DISTINCT FROM old.expires_at)))) EXECUTE FUNCTION refuse_change('a key that has ended stays ended');
ALTER TABLE api_key ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key TO keyledger_api;
GRANT SELECT ON api_key TO keyledger_worker;
GRANT UPDATE (revoked_at) ON api_key TO keyledger_worker;
GRANT UPDATE (updated_at) ON api_key TO keyledger_worker;
GRANT UPDATE (version) ON api_key TO keyledger_worker;

CREATE TABLE api_key_count (
  organization_id uuid NOT NULL,
  accountable_user_id uuid,
  project_id uuid,
  keys integer NOT NULL,
  CONSTRAINT api_key_count_organization_id_accountable_user_id_project_i_key UNIQUE NULLS NOT DISTINCT (organization_id, accountable_user_id, project_id),
  CONSTRAINT api_key_count_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id)
) WITH (fillfactor=50);
CREATE INDEX api_key_count_project_id ON public.api_key_count USING btree (project_id) WHERE (project_id IS NOT NULL);
GRANT DELETE, INSERT, SELECT, UPDATE ON api_key_count TO keyledger_api;

CREATE TABLE api_key_endpoint (
  api_key_id uuid NOT NULL,
  management boolean NOT NULL,
  names text[] COLLATE "C" NOT NULL,
  CONSTRAINT api_key_endpoint_pkey PRIMARY KEY (api_key_id, management)
) WITH (fillfactor=70);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_endpoint FOR EACH ROW WHEN ((((new.api_key_id IS DISTINCT FROM old.api_key_id) OR (new.management IS DISTINCT FROM old.management)) OR (new.names[:cardinality(old.names)] IS DISTINCT FROM old.names))) EXECUTE FUNCTION refuse_change('an endpoint keeps its place');
ALTER TABLE api_key_endpoint ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key_endpoint TO keyledger_worker;
GRANT SELECT ON api_key_endpoint TO keyledger_api;

CREATE TABLE api_key_notice (
  api_key_id uuid NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  lead interval NOT NULL,
  CONSTRAINT api_key_notice_api_key_id_fkey FOREIGN KEY (api_key_id) REFERENCES api_key(id),
  CONSTRAINT api_key_notice_pkey PRIMARY KEY (api_key_id, expires_at, lead)
);
GRANT INSERT, SELECT ON api_key_notice TO keyledger_worker;

CREATE TABLE api_key_rate (
  api_key_id uuid NOT NULL,
  name text NOT NULL,
  quota integer NOT NULL,
  window_seconds integer NOT NULL,
  newest bigint NOT NULL DEFAULT 0,
  counts integer[] NOT NULL DEFAULT array_fill(0, ARRAY[61]),
  CONSTRAINT api_key_rate_api_key_id_fkey FOREIGN KEY (api_key_id) REFERENCES api_key(id),
  CONSTRAINT api_key_rate_counts_check CHECK ((cardinality(counts) = 61)),
  CONSTRAINT api_key_rate_pkey PRIMARY KEY (api_key_id, name),
  CONSTRAINT api_key_rate_quota_check CHECK ((quota > 0)),
  CONSTRAINT api_key_rate_window_seconds_check CHECK ((window_seconds > 0))
) WITH (fillfactor=50);
GRANT DELETE, INSERT, SELECT, UPDATE ON api_key_rate TO keyledger_api;

CREATE TABLE api_key_removed_rate (
  api_key_id uuid NOT NULL,
  window_seconds integer NOT NULL,
  newest bigint NOT NULL,
  counts integer[] NOT NULL,
  CONSTRAINT api_key_removed_rate_api_key_id_fkey FOREIGN KEY (api_key_id) REFERENCES api_key(id),
  CONSTRAINT api_key_removed_rate_counts_check CHECK ((cardinality(counts) = 61)),
  CONSTRAINT api_key_removed_rate_pkey PRIMARY KEY (api_key_id, window_seconds),
  CONSTRAINT api_key_removed_rate_window_seconds_check CHECK ((window_seconds > 0))
);
GRANT DELETE, INSERT, SELECT ON api_key_removed_rate TO keyledger_api;

CREATE TABLE api_key_revocation (
  id uuid NOT NULL,
  organization_id uuid NOT NULL,
  kind text NOT NULL,
  subject uuid NOT NULL,
  last_number bigint NOT NULL,
  done_number bigint NOT NULL DEFAULT 0,
  revoked_at timestamp with time zone NOT NULL,
  seq bigint NOT NULL,
  actor jsonb NOT NULL,
  ip text,
  user_agent text,
  request_id text NOT NULL,
  CONSTRAINT api_key_revocation_kind_check CHECK ((kind = ANY (ARRAY['project'::text, 'member'::text]))),
  CONSTRAINT api_key_revocation_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT api_key_revocation_pkey PRIMARY KEY (id)
);
CREATE INDEX api_key_revocation_subject ON public.api_key_revocation USING btree (subject);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_revocation FOR EACH ROW WHEN (((((((new.id IS DISTINCT FROM old.id) OR (new.organization_id IS DISTINCT FROM old.organization_id)) OR (new.subject IS DISTINCT FROM old.subject)) OR (new.last_number IS DISTINCT FROM old.last_number)) OR (new.revoked_at IS DISTINCT FROM old.revoked_at)) OR (new.done_number < old.done_number))) EXECUTE FUNCTION refuse_change('a mass revocation only goes on');
ALTER TABLE api_key_revocation ENABLE ALWAYS TRIGGER never_back_update;
CREATE TRIGGER refuse_unfinished BEFORE DELETE ON public.api_key_revocation FOR EACH ROW EXECUTE FUNCTION refuse_unfinished_revocation();
ALTER TABLE api_key_revocation ENABLE ALWAYS TRIGGER refuse_unfinished;
GRANT DELETE, SELECT ON api_key_revocation TO keyledger_worker;
GRANT INSERT, SELECT ON api_key_revocation TO keyledger_api;
GRANT UPDATE (done_number) ON api_key_revocation TO keyledger_worker;

CREATE TABLE api_key_secret (
  id uuid NOT NULL,
  api_key_id uuid NOT NULL,
  handle text NOT NULL,
  hash text,
  digest bytea,
  created_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone,
  leaked_at timestamp with time zone,
  CONSTRAINT api_key_secret_api_key_id_fkey FOREIGN KEY (api_key_id) REFERENCES api_key(id),
  CONSTRAINT api_key_secret_check CHECK (((hash IS NOT NULL) OR (handle ~~ '~%'::text))),
  CONSTRAINT api_key_secret_handle_key UNIQUE (handle),
  CONSTRAINT api_key_secret_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX api_key_secret_current ON public.api_key_secret USING btree (api_key_id) WHERE (ended_at IS NULL);
CREATE INDEX api_key_secret_imported ON public.api_key_secret USING btree (created_at) WHERE (handle ~~ '~%'::text);
CREATE INDEX api_key_secret_shown ON public.api_key_secret USING btree ("left"(handle, 6));
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_secret FOR EACH ROW WHEN (((((new.id IS DISTINCT FROM old.id) OR (new.api_key_id IS DISTINCT FROM old.api_key_id)) OR (new.handle IS DISTINCT FROM old.handle)) OR ((old.ended_at IS NOT NULL) AND ((new.ended_at IS NULL) OR (new.ended_at > old.ended_at))))) EXECUTE FUNCTION refuse_change('a secret that has ended stays ended');
ALTER TABLE api_key_secret ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key_secret TO keyledger_api;

CREATE TABLE api_key_secret_usage (
  secret_id uuid NOT NULL,
  last_used_at timestamp with time zone NOT NULL,
  CONSTRAINT api_key_secret_usage_pkey PRIMARY KEY (secret_id)
) WITH (fillfactor=70);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_secret_usage FOR EACH ROW WHEN (((new.secret_id IS DISTINCT FROM old.secret_id) OR (new.last_used_at < old.last_used_at))) EXECUTE FUNCTION refuse_change('usage only grows');
ALTER TABLE api_key_secret_usage ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key_secret_usage TO keyledger_worker;
GRANT SELECT ON api_key_secret_usage TO keyledger_api;

CREATE TABLE api_key_usage (
  api_key_id uuid NOT NULL,
  uses bigint NOT NULL DEFAULT 0,
  denials bigint NOT NULL DEFAULT 0,
  last_used_at timestamp with time zone,
  last_denied_at timestamp with time zone,
  CONSTRAINT api_key_usage_pkey PRIMARY KEY (api_key_id)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_usage FOR EACH ROW WHEN (((new.api_key_id IS DISTINCT FROM old.api_key_id) OR (new.uses < old.uses) OR (new.denials < old.denials) OR (new.last_used_at < old.last_used_at) OR (new.last_denied_at < old.last_denied_at) OR ((old.last_used_at IS NOT NULL) AND (new.last_used_at IS NULL)) OR ((old.last_denied_at IS NOT NULL) AND (new.last_denied_at IS NULL)))) EXECUTE FUNCTION refuse_change('usage only grows');
ALTER TABLE api_key_usage ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key_usage TO keyledger_worker;
GRANT SELECT ON api_key_usage TO keyledger_api;

CREATE TABLE api_key_usage_hour (
  api_key_id uuid NOT NULL,
  hour timestamp with time zone NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  management boolean NOT NULL,
  organization_id uuid NOT NULL,
  project_id uuid,
  counts bigint[] NOT NULL,
  credits bigint[] NOT NULL,
  CONSTRAINT api_key_usage_hour_pkey PRIMARY KEY (api_key_id, hour, outcome, management)
) WITH (fillfactor=70);
CREATE INDEX api_key_usage_hour_organization_id ON public.api_key_usage_hour USING btree (organization_id, hour);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_usage_hour FOR EACH ROW WHEN ((((((((new.api_key_id IS DISTINCT FROM old.api_key_id) OR (new.hour IS DISTINCT FROM old.hour)) OR (new.outcome IS DISTINCT FROM old.outcome)) OR (new.management IS DISTINCT FROM old.management)) OR (new.organization_id IS DISTINCT FROM old.organization_id)) OR (new.project_id IS DISTINCT FROM old.project_id)) OR counts_shrink(old.counts, new.counts) OR counts_shrink(old.credits, new.credits))) EXECUTE FUNCTION refuse_change('usage only grows');
ALTER TABLE api_key_usage_hour ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key_usage_hour TO keyledger_worker;
GRANT SELECT ON api_key_usage_hour TO keyledger_api;

CREATE TABLE api_key_verifications (
  api_key_id uuid NOT NULL,
  secret_id uuid NOT NULL,
  ingest_group smallint NOT NULL,
  count bigint NOT NULL,
  last_at timestamp with time zone NOT NULL,
  CONSTRAINT api_key_verifications_pkey PRIMARY KEY (api_key_id, secret_id, ingest_group)
) WITH (fillfactor=50);
CREATE INDEX api_key_verifications_secret_id ON public.api_key_verifications USING btree (secret_id);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.api_key_verifications FOR EACH ROW WHEN (((((new.api_key_id IS DISTINCT FROM old.api_key_id) OR (new.secret_id IS DISTINCT FROM old.secret_id)) OR (new.ingest_group IS DISTINCT FROM old.ingest_group)) OR (new.count < old.count) OR (new.last_at < old.last_at))) EXECUTE FUNCTION refuse_change('usage only grows');
ALTER TABLE api_key_verifications ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON api_key_verifications TO keyledger_worker;
GRANT SELECT ON api_key_verifications TO keyledger_api;

CREATE TABLE audit_anchored_bundle (
  organization_id uuid NOT NULL,
  index bigint NOT NULL,
  CONSTRAINT audit_anchored_bundle_pkey PRIMARY KEY (organization_id)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_anchored_bundle FOR EACH ROW WHEN ((new.organization_id IS DISTINCT FROM old.organization_id)) EXECUTE FUNCTION refuse_change('an anchored tree stays that of its log');
ALTER TABLE audit_anchored_bundle ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT ON audit_anchored_bundle TO keyledger_api;
GRANT SELECT ON audit_anchored_bundle TO keyledger_worker;
GRANT UPDATE (index) ON audit_anchored_bundle TO keyledger_api;

CREATE TABLE audit_body (
  organization_id uuid NOT NULL,
  index bigint NOT NULL,
  sealed_at timestamp with time zone NOT NULL,
  terms integer[] NOT NULL,
  body bytea NOT NULL,
  CONSTRAINT audit_body_pkey PRIMARY KEY (organization_id, index, sealed_at)
) PARTITION BY RANGE (sealed_at);
CREATE INDEX audit_body_terms ON ONLY public.audit_body USING gin (terms) WITH (fastupdate=off);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_body FOR EACH ROW EXECUTE FUNCTION audit_entries_are_kept('bundle');
ALTER TABLE audit_body ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_body FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_body ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_body TO keyledger_api;
GRANT SELECT ON audit_body TO keyledger_worker;

CREATE TABLE audit_body_default (
  organization_id uuid NOT NULL,
  index bigint NOT NULL,
  sealed_at timestamp with time zone NOT NULL,
  terms integer[] NOT NULL,
  body bytea NOT NULL,
  CONSTRAINT audit_body_default_pkey PRIMARY KEY (organization_id, index, sealed_at)
);
CREATE INDEX audit_body_default_terms_idx ON public.audit_body_default USING gin (terms) WITH (fastupdate=off);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_body_default FOR EACH ROW EXECUTE FUNCTION audit_entries_are_kept('bundle');
ALTER TABLE audit_body_default ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_body_default FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_body_default ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_body_default TO keyledger_worker;

CREATE TABLE audit_bundle (
  organization_id uuid NOT NULL,
  index bigint NOT NULL,
  root bytea NOT NULL,
  oldest timestamp with time zone NOT NULL,
  newest timestamp with time zone NOT NULL,
  latest timestamp with time zone NOT NULL,
  sealed_at timestamp with time zone NOT NULL,
  CONSTRAINT audit_bundle_pkey PRIMARY KEY (organization_id, index)
);
CREATE INDEX audit_bundle_latest ON public.audit_bundle USING btree (organization_id, latest, index);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_bundle FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_bundle ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_bundle FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_bundle ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_bundle TO keyledger_api;
GRANT SELECT ON audit_bundle TO keyledger_worker;

CREATE TABLE audit_epoch (
  number integer NOT NULL,
  origin text,
  anchor_id text NOT NULL,
  anchor_sequence bigint NOT NULL DEFAULT 0,
  started_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT audit_epoch_number_check CHECK ((number > 0)),
  CONSTRAINT audit_epoch_pkey PRIMARY KEY (number)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_epoch FOR EACH ROW WHEN ((((new.number IS DISTINCT FROM old.number) OR (new.anchor_id IS DISTINCT FROM old.anchor_id)) OR (new.anchor_sequence < old.anchor_sequence) OR ((old.origin IS NOT NULL) AND (new.origin IS DISTINCT FROM old.origin)))) EXECUTE FUNCTION refuse_change('an epoch keeps its origin and its anchor');
ALTER TABLE audit_epoch ENABLE ALWAYS TRIGGER never_back_update;
GRANT SELECT ON audit_epoch TO keyledger_api;
GRANT INSERT (anchor_id) ON audit_epoch TO keyledger_api;
GRANT INSERT (number) ON audit_epoch TO keyledger_api;
GRANT UPDATE (anchor_sequence) ON audit_epoch TO keyledger_api;
GRANT UPDATE (origin) ON audit_epoch TO keyledger_api;

CREATE TABLE audit_head (
  epoch integer NOT NULL,
  index bigint NOT NULL,
  organization_id uuid NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL,
  CONSTRAINT audit_head_pkey PRIMARY KEY (epoch, index),
  CONSTRAINT audit_head_root_check CHECK ((length(root) = 32))
);
CREATE INDEX audit_head_organization ON public.audit_head USING btree (organization_id, epoch, index);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_head FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_head TO keyledger_api;

CREATE TABLE audit_head_node (
  epoch integer NOT NULL,
  level smallint NOT NULL,
  index bigint NOT NULL,
  hash bytea NOT NULL,
  CONSTRAINT audit_head_node_hash_check CHECK ((length(hash) = 32)),
  CONSTRAINT audit_head_node_pkey PRIMARY KEY (epoch, level, index)
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_head_node FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_head_node ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_head_node FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_head_node ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_head_node TO keyledger_api;

CREATE TABLE audit_heads (
  epoch integer NOT NULL,
  size bigint NOT NULL DEFAULT 0,
  frontier bytea NOT NULL DEFAULT '\x'::bytea,
  asked_at timestamp with time zone,
  cosigned text,
  cosigned_size bigint NOT NULL DEFAULT 0,
  cosigned_at timestamp with time zone,
  CONSTRAINT audit_heads_check CHECK ((cosigned_size <= size)),
  CONSTRAINT audit_heads_epoch_fkey FOREIGN KEY (epoch) REFERENCES audit_epoch(number),
  CONSTRAINT audit_heads_pkey PRIMARY KEY (epoch)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_heads FOR EACH ROW WHEN (((new.epoch IS DISTINCT FROM old.epoch) OR (new.size < old.size) OR (new.cosigned_size < old.cosigned_size))) EXECUTE FUNCTION refuse_change('the log of heads only grows');
ALTER TABLE audit_heads ENABLE ALWAYS TRIGGER never_back_update;
GRANT SELECT ON audit_heads TO keyledger_api;
GRANT INSERT (asked_at) ON audit_heads TO keyledger_api;
GRANT INSERT (epoch) ON audit_heads TO keyledger_api;
GRANT UPDATE (asked_at) ON audit_heads TO keyledger_api;
GRANT UPDATE (cosigned) ON audit_heads TO keyledger_api;
GRANT UPDATE (cosigned_at) ON audit_heads TO keyledger_api;
GRANT UPDATE (cosigned_size) ON audit_heads TO keyledger_api;

CREATE TABLE audit_kept_tile (
  organization_id uuid NOT NULL,
  index bigint NOT NULL,
  hashes bytea NOT NULL,
  CONSTRAINT audit_kept_tile_pkey PRIMARY KEY (organization_id, index)
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_kept_tile FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_kept_tile ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_kept_tile FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_kept_tile ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_kept_tile TO keyledger_api;
GRANT SELECT ON audit_kept_tile TO keyledger_worker;

CREATE TABLE audit_log (
  organization_id uuid NOT NULL,
  size bigint NOT NULL,
  frontier bytea NOT NULL DEFAULT '\x'::bytea,
  grown_from bigint NOT NULL DEFAULT 0,
  segments smallint NOT NULL DEFAULT 0,
  latest timestamp with time zone,
  lateness_ms bigint NOT NULL DEFAULT 0,
  minimum_index bigint NOT NULL DEFAULT 0,
  erased_index bigint NOT NULL DEFAULT 0,
  pruned_at timestamp with time zone,
  CONSTRAINT audit_log_check CHECK ((((minimum_index >= 0) AND (minimum_index <= size)) AND ((minimum_index % (256)::bigint) = 0))),
  CONSTRAINT audit_log_check1 CHECK ((((erased_index >= 0) AND (erased_index <= minimum_index)) AND ((erased_index % (256)::bigint) = 0))),
  CONSTRAINT audit_log_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT audit_log_pkey PRIMARY KEY (organization_id)
) WITH (fillfactor=50);
CREATE TRIGGER never_back_delete BEFORE DELETE ON public.audit_log FOR EACH ROW WHEN (true) EXECUTE FUNCTION refuse_change('the size of an audit log only grows');
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER never_back_delete;
CREATE TRIGGER never_back_insert BEFORE INSERT ON public.audit_log FOR EACH ROW WHEN ((new.size <> 0)) EXECUTE FUNCTION refuse_change('an audit log begins empty');
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER never_back_insert;
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_log FOR EACH ROW WHEN (((new.size < old.size) OR (new.minimum_index < old.minimum_index) OR (new.erased_index < old.erased_index) OR (new.organization_id IS DISTINCT FROM old.organization_id))) EXECUTE FUNCTION refuse_change('the size of an audit log only grows');
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER never_back_update;
GRANT SELECT ON audit_log TO keyledger_api;
GRANT SELECT ON audit_log TO keyledger_worker;

CREATE TABLE audit_management_event (
  organization_id uuid NOT NULL,
  leaf_index bigint NOT NULL,
  id uuid NOT NULL,
  entry bytea NOT NULL,
  type text NOT NULL,
  time timestamp with time zone NOT NULL,
  api_key_id uuid,
  project_id uuid,
  actor_id text,
  subject text,
  ip inet,
  path text,
  terms integer[] NOT NULL,
  CONSTRAINT audit_management_event_id_key UNIQUE (id),
  CONSTRAINT audit_management_event_pkey PRIMARY KEY (organization_id, leaf_index)
);
CREATE INDEX audit_management_event_actor ON public.audit_management_event USING btree (organization_id, actor_id, leaf_index);
CREATE INDEX audit_management_event_key ON public.audit_management_event USING btree (api_key_id, leaf_index) WHERE (api_key_id IS NOT NULL);
CREATE INDEX audit_management_event_project ON public.audit_management_event USING btree (project_id, leaf_index) WHERE (project_id IS NOT NULL);
CREATE INDEX audit_management_event_subject ON public.audit_management_event USING btree (organization_id, subject, leaf_index) WHERE (api_key_id IS NULL);
CREATE INDEX audit_management_event_terms ON public.audit_management_event USING gin (terms) WITH (fastupdate=off);
CREATE INDEX audit_management_event_type ON public.audit_management_event USING btree (organization_id, type, leaf_index);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_management_event FOR EACH ROW EXECUTE FUNCTION audit_entries_are_kept('leaf');
ALTER TABLE audit_management_event ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_management_event FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_management_event ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_management_event TO keyledger_api;
GRANT SELECT ON audit_management_event TO keyledger_worker;

CREATE TABLE audit_retention (
  organization_id uuid NOT NULL,
  days integer,
  hold_reason text,
  held_since timestamp with time zone,
  changed_at timestamp with time zone NOT NULL,
  CONSTRAINT audit_retention_check CHECK (((hold_reason IS NULL) = (held_since IS NULL))),
  CONSTRAINT audit_retention_days_check CHECK (((days >= 30) AND (days <= 36500))),
  CONSTRAINT audit_retention_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT audit_retention_pkey PRIMARY KEY (organization_id)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_retention FOR EACH ROW WHEN ((new.organization_id IS DISTINCT FROM old.organization_id)) EXECUTE FUNCTION refuse_change('a retention stays that of its organization');
ALTER TABLE audit_retention ENABLE ALWAYS TRIGGER never_back_update;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON public.audit_retention FOR EACH ROW EXECUTE FUNCTION stamp_audit_retention();
ALTER TABLE audit_retention ENABLE ALWAYS TRIGGER stamp;
GRANT INSERT, SELECT, UPDATE ON audit_retention TO keyledger_api;

CREATE TABLE audit_segment (
  organization_id uuid NOT NULL,
  first bigint NOT NULL,
  count smallint NOT NULL,
  oldest timestamp with time zone NOT NULL,
  newest timestamp with time zone NOT NULL,
  terms integer[] NOT NULL,
  terms_of smallint[] NOT NULL,
  body bytea NOT NULL,
  CONSTRAINT audit_segment_pkey PRIMARY KEY (organization_id, first)
);
GRANT SELECT ON audit_segment TO keyledger_api;
GRANT SELECT ON audit_segment TO keyledger_worker;

CREATE TABLE audit_signed_bundle (
  organization_id uuid NOT NULL,
  index bigint NOT NULL,
  CONSTRAINT audit_signed_bundle_pkey PRIMARY KEY (organization_id, index)
);
GRANT INSERT, SELECT ON audit_signed_bundle TO keyledger_api;
GRANT SELECT ON audit_signed_bundle TO keyledger_worker;

CREATE TABLE audit_signing_key (
  epoch integer NOT NULL,
  number integer NOT NULL,
  public_key bytea NOT NULL,
  private_key bytea,
  ends_at timestamp with time zone,
  compromised boolean NOT NULL DEFAULT false,
  CONSTRAINT audit_signing_key_check CHECK (((private_key IS NOT NULL) OR (ends_at IS NOT NULL))),
  CONSTRAINT audit_signing_key_check1 CHECK (((NOT compromised) OR (private_key IS NULL))),
  CONSTRAINT audit_signing_key_epoch_fkey FOREIGN KEY (epoch) REFERENCES audit_epoch(number),
  CONSTRAINT audit_signing_key_number_check CHECK ((number > 0)),
  CONSTRAINT audit_signing_key_pkey PRIMARY KEY (epoch, number),
  CONSTRAINT audit_signing_key_public_key_check CHECK ((length(public_key) = 32))
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_signing_key FOR EACH ROW WHEN (((((new.epoch IS DISTINCT FROM old.epoch) OR (new.number IS DISTINCT FROM old.number)) OR (new.public_key IS DISTINCT FROM old.public_key)) OR ((new.private_key IS NOT NULL) AND (new.private_key IS DISTINCT FROM old.private_key)) OR ((old.ends_at IS NOT NULL) AND ((new.ends_at IS NULL) OR (new.ends_at > old.ends_at))) OR (old.compromised AND (NOT new.compromised)))) EXECUTE FUNCTION refuse_change('a key that stops signing never signs again');
ALTER TABLE audit_signing_key ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT ON audit_signing_key TO keyledger_api;
GRANT UPDATE (compromised) ON audit_signing_key TO keyledger_api;
GRANT UPDATE (ends_at) ON audit_signing_key TO keyledger_api;
GRANT UPDATE (private_key) ON audit_signing_key TO keyledger_api;

CREATE TABLE audit_tree_node (
  organization_id uuid NOT NULL,
  level smallint NOT NULL,
  index bigint NOT NULL,
  hash bytea NOT NULL,
  CONSTRAINT audit_tree_node_pkey PRIMARY KEY (organization_id, level, index)
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_tree_node FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_tree_node ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_tree_node FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
ALTER TABLE audit_tree_node ENABLE ALWAYS TRIGGER no_truncate;
GRANT SELECT ON audit_tree_node TO keyledger_api;
GRANT SELECT ON audit_tree_node TO keyledger_worker;

CREATE TABLE audit_witness (
  epoch integer NOT NULL,
  vkey text NOT NULL,
  size bigint NOT NULL DEFAULT 0,
  cosigned_at timestamp with time zone,
  cosignature text,
  failure text,
  failed_at timestamp with time zone,
  CONSTRAINT audit_witness_epoch_fkey FOREIGN KEY (epoch) REFERENCES audit_epoch(number),
  CONSTRAINT audit_witness_pkey PRIMARY KEY (epoch, vkey)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.audit_witness FOR EACH ROW WHEN ((((new.epoch IS DISTINCT FROM old.epoch) OR (new.vkey IS DISTINCT FROM old.vkey)) OR (new.size < old.size))) EXECUTE FUNCTION refuse_change('a witness cosigns larger trees only');
ALTER TABLE audit_witness ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT ON audit_witness TO keyledger_api;
GRANT UPDATE (cosignature) ON audit_witness TO keyledger_api;
GRANT UPDATE (cosigned_at) ON audit_witness TO keyledger_api;
GRANT UPDATE (failed_at) ON audit_witness TO keyledger_api;
GRANT UPDATE (failure) ON audit_witness TO keyledger_api;
GRANT UPDATE (size) ON audit_witness TO keyledger_api;

CREATE TABLE authz_change (
  shard smallint NOT NULL,
  seq bigint NOT NULL,
  tag bigint NOT NULL,
  kind text NOT NULL,
  id uuid NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT authz_change_pkey PRIMARY KEY (shard, seq, id)
);
CREATE TRIGGER never_back_delete BEFORE DELETE ON public.authz_change FOR EACH ROW WHEN ((old.created_at > (now() - '00:30:00'::interval))) EXECUTE FUNCTION refuse_change('nodes still need this change');
ALTER TABLE authz_change ENABLE ALWAYS TRIGGER never_back_delete;
GRANT DELETE, SELECT ON authz_change TO keyledger_worker;
GRANT INSERT, SELECT ON authz_change TO keyledger_api;

CREATE TABLE authz_state (
  shard smallint NOT NULL,
  seq bigint NOT NULL,
  tag bigint NOT NULL,
  CONSTRAINT authz_state_pkey PRIMARY KEY (shard)
) WITH (fillfactor=50);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.authz_state FOR EACH ROW WHEN (((new.seq <= old.seq) OR (new.tag = old.tag) OR (new.shard IS DISTINCT FROM old.shard))) EXECUTE FUNCTION refuse_change('an authorization state only moves on, under a new tag');
ALTER TABLE authz_state ENABLE ALWAYS TRIGGER never_back_update;
GRANT SELECT ON authz_state TO keyledger_worker;
GRANT SELECT, UPDATE ON authz_state TO keyledger_api;

CREATE TABLE credit (
  organization_id uuid NOT NULL,
  balance bigint NOT NULL,
  low_below bigint NOT NULL,
  CONSTRAINT credit_balance_check CHECK ((balance >= 0)),
  CONSTRAINT credit_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT credit_pkey PRIMARY KEY (organization_id)
) WITH (fillfactor=50);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.credit FOR EACH ROW WHEN ((new.organization_id IS DISTINCT FROM old.organization_id)) EXECUTE FUNCTION refuse_change('a balance stays that of its organization');
ALTER TABLE credit ENABLE ALWAYS TRIGGER never_back_update;
GRANT DELETE, INSERT, SELECT, UPDATE ON credit TO keyledger_api;

CREATE TABLE credit_grant (
  id uuid NOT NULL,
  organization_id uuid NOT NULL,
  amount bigint NOT NULL,
  balance_after bigint NOT NULL,
  reason text,
  granted_by uuid,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT credit_grant_granted_by_fkey FOREIGN KEY (granted_by) REFERENCES user_account(id),
  CONSTRAINT credit_grant_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT credit_grant_pkey PRIMARY KEY (id)
);
CREATE INDEX credit_grant_organization_id ON public.credit_grant USING btree (organization_id, id);
GRANT INSERT, SELECT ON credit_grant TO keyledger_api;

CREATE TABLE event_quarantine (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  shard smallint NOT NULL,
  batch_id uuid NOT NULL,
  version smallint NOT NULL,
  body bytea NOT NULL,
  events integer,
  reason text NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  requeued_at timestamp with time zone,
  CONSTRAINT event_quarantine_pkey PRIMARY KEY (id)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.event_quarantine FOR EACH ROW WHEN (((old.requeued_at IS NOT NULL) OR (((((new.id IS DISTINCT FROM old.id) OR (new.shard IS DISTINCT FROM old.shard)) OR (new.version IS DISTINCT FROM old.version)) OR (new.body IS DISTINCT FROM old.body)) OR (new.events IS DISTINCT FROM old.events)))) EXECUTE FUNCTION refuse_change('a record is put back once');
ALTER TABLE event_quarantine ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT ON event_quarantine TO keyledger_worker;
GRANT SELECT ON event_quarantine TO keyledger_api;
GRANT UPDATE (requeued_at) ON event_quarantine TO keyledger_api;

CREATE TABLE idempotency_key (
  caller text NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  defaults jsonb NOT NULL,
  attempt uuid NOT NULL,
  response jsonb,
  requirements jsonb,
  started_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_key_pkey PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_key_started_at ON public.idempotency_key USING btree (started_at);
GRANT DELETE, INSERT, SELECT, UPDATE ON idempotency_key TO keyledger_api;
GRANT DELETE, SELECT ON idempotency_key TO keyledger_worker;

CREATE TABLE ingest (
  shard smallint NOT NULL,
  unreadable_in_a_row integer NOT NULL DEFAULT 0,
  CONSTRAINT ingest_pkey PRIMARY KEY (shard)
);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.ingest FOR EACH ROW WHEN ((new.shard IS DISTINCT FROM old.shard)) EXECUTE FUNCTION refuse_change('the shards are fixed');
ALTER TABLE ingest ENABLE ALWAYS TRIGGER never_back_update;
GRANT SELECT, UPDATE ON ingest TO keyledger_worker;

CREATE TABLE invitation (
  id uuid NOT NULL,
  organization_id uuid,
  role text,
  email text,
  token_hash bytea NOT NULL,
  created_by uuid,
  created_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  accepted_at timestamp with time zone,
  revoked_at timestamp with time zone,
  CONSTRAINT invitation_check CHECK (((organization_id IS NULL) = (role IS NULL))),
  CONSTRAINT invitation_created_by_fkey FOREIGN KEY (created_by) REFERENCES user_account(id),
  CONSTRAINT invitation_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT invitation_pkey PRIMARY KEY (id),
  CONSTRAINT invitation_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'developer'::text, 'auditor'::text, 'viewer'::text]))),
  CONSTRAINT invitation_token_hash_key UNIQUE (token_hash)
);
CREATE INDEX invitation_organization_id ON public.invitation USING btree (organization_id, id) WHERE ((accepted_at IS NULL) AND (revoked_at IS NULL));
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.invitation FOR EACH ROW WHEN ((((((new.id IS DISTINCT FROM old.id) OR (new.organization_id IS DISTINCT FROM old.organization_id)) OR (new.role IS DISTINCT FROM old.role)) OR (new.token_hash IS DISTINCT FROM old.token_hash)) OR (new.expires_at > old.expires_at) OR ((old.accepted_at IS NOT NULL) AND (new.accepted_at IS NULL)) OR ((old.revoked_at IS NOT NULL) AND (new.revoked_at IS NULL)))) EXECUTE FUNCTION refuse_change('an invitation that has ended stays ended');
ALTER TABLE invitation ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON invitation TO keyledger_api;

CREATE TABLE login_delay (
  bucket text NOT NULL,
  failures integer NOT NULL,
  next_attempt_at timestamp with time zone NOT NULL,
  CONSTRAINT login_delay_pkey PRIMARY KEY (bucket)
);
GRANT DELETE, INSERT, SELECT, UPDATE ON login_delay TO keyledger_api;
GRANT DELETE, SELECT ON login_delay TO keyledger_worker;

CREATE TABLE membership (
  organization_id uuid NOT NULL,
  user_id uuid NOT NULL,
  role text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT membership_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT membership_pkey PRIMARY KEY (organization_id, user_id),
  CONSTRAINT membership_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'developer'::text, 'auditor'::text, 'viewer'::text]))),
  CONSTRAINT membership_user_id_fkey FOREIGN KEY (user_id) REFERENCES user_account(id)
);
CREATE INDEX membership_user_id ON public.membership USING btree (user_id);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.membership FOR EACH ROW WHEN (((new.organization_id IS DISTINCT FROM old.organization_id) OR (new.user_id IS DISTINCT FROM old.user_id))) EXECUTE FUNCTION refuse_change('a membership stays the same one');
ALTER TABLE membership ENABLE ALWAYS TRIGGER never_back_update;
GRANT DELETE, INSERT, SELECT, UPDATE ON membership TO keyledger_api;

CREATE TABLE organization (
  id uuid NOT NULL,
  name text NOT NULL,
  personal boolean NOT NULL,
  shard smallint NOT NULL GENERATED ALWAYS AS ((get_byte(uuid_send(id), 15) & 15)) STORED,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  suspended_at timestamp with time zone,
  scope_ceiling text[],
  leak_policy text NOT NULL DEFAULT 'revoke_live'::text,
  key_policy jsonb NOT NULL DEFAULT '{"allowed_ips": null, "environments": null, "require_expiry": false, "max_lifetime_days": null, "disable_unused_from": null, "disable_unused_after_days": null}'::jsonb,
  unused_checked_at timestamp with time zone,
  version integer NOT NULL,
  CONSTRAINT organization_leak_policy_check CHECK ((leak_policy = ANY (ARRAY['revoke'::text, 'revoke_live'::text, 'report'::text]))),
  CONSTRAINT organization_pkey PRIMARY KEY (id)
);
CREATE INDEX organization_unused_checked_at ON public.organization USING btree (unused_checked_at NULLS FIRST) WHERE ((key_policy ->> 'disable_unused_after_days'::text) IS NOT NULL);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.organization FOR EACH ROW WHEN ((((new.id IS DISTINCT FROM old.id) OR (new.personal IS DISTINCT FROM old.personal)) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION refuse_change('an organization stays the same one');
ALTER TABLE organization ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON organization TO keyledger_api;
GRANT SELECT (id) ON organization TO keyledger_worker;
GRANT SELECT (key_policy) ON organization TO keyledger_worker;
GRANT SELECT (suspended_at) ON organization TO keyledger_worker;
GRANT SELECT (unused_checked_at) ON organization TO keyledger_worker;
GRANT UPDATE (unused_checked_at) ON organization TO keyledger_worker;

CREATE TABLE outbox (
  shard smallint NOT NULL,
  id uuid NOT NULL,
  version smallint NOT NULL,
  body bytea NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT outbox_pkey PRIMARY KEY (shard, id)
);
GRANT DELETE, INSERT, SELECT ON outbox TO keyledger_worker;
GRANT INSERT, SELECT ON outbox TO keyledger_api;

CREATE TABLE password_reset (
  token_hash bytea NOT NULL,
  user_id uuid NOT NULL,
  created_by uuid NOT NULL,
  created_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  used_at timestamp with time zone,
  CONSTRAINT password_reset_created_by_fkey FOREIGN KEY (created_by) REFERENCES user_account(id),
  CONSTRAINT password_reset_pkey PRIMARY KEY (token_hash),
  CONSTRAINT password_reset_user_id_fkey FOREIGN KEY (user_id) REFERENCES user_account(id)
);
CREATE INDEX password_reset_created_by ON public.password_reset USING btree (created_by) WHERE (used_at IS NULL);
CREATE INDEX password_reset_user_id ON public.password_reset USING btree (user_id) WHERE (used_at IS NULL);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.password_reset FOR EACH ROW WHEN ((((new.token_hash IS DISTINCT FROM old.token_hash) OR (new.user_id IS DISTINCT FROM old.user_id)) OR (new.expires_at > old.expires_at) OR ((old.used_at IS NOT NULL) AND (new.used_at IS NULL)))) EXECUTE FUNCTION refuse_change('a password link that was used stays used');
ALTER TABLE password_reset ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON password_reset TO keyledger_api;

CREATE TABLE project (
  id uuid NOT NULL,
  organization_id uuid NOT NULL,
  name text NOT NULL,
  description text,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  deleted_at timestamp with time zone,
  version integer NOT NULL,
  CONSTRAINT project_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organization(id),
  CONSTRAINT project_pkey PRIMARY KEY (id)
);
CREATE INDEX project_deleted ON public.project USING btree (organization_id) WHERE (deleted_at IS NOT NULL);
CREATE INDEX project_organization_id ON public.project USING btree (organization_id, id) WHERE (deleted_at IS NULL);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.project FOR EACH ROW WHEN ((((new.id IS DISTINCT FROM old.id) OR (new.organization_id IS DISTINCT FROM old.organization_id)) OR ((old.deleted_at IS NOT NULL) AND (new.deleted_at IS NULL)))) EXECUTE FUNCTION refuse_change('a project that was deleted stays deleted');
ALTER TABLE project ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON project TO keyledger_api;

CREATE TABLE refresh_token (
  hash bytea NOT NULL,
  session_id uuid NOT NULL,
  salt bytea NOT NULL,
  created_at timestamp with time zone NOT NULL,
  used_at timestamp with time zone,
  CONSTRAINT refresh_token_pkey PRIMARY KEY (hash),
  CONSTRAINT refresh_token_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id)
);
CREATE INDEX refresh_token_session_id ON public.refresh_token USING btree (session_id);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.refresh_token FOR EACH ROW WHEN ((((new.hash IS DISTINCT FROM old.hash) OR (new.session_id IS DISTINCT FROM old.session_id)) OR ((old.used_at IS NOT NULL) AND (new.used_at IS NULL)))) EXECUTE FUNCTION refuse_change('a refresh token that was used stays used');
ALTER TABLE refresh_token ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON refresh_token TO keyledger_api;

CREATE TABLE session (
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  ip text,
  user_agent text,
  created_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone,
  CONSTRAINT session_pkey PRIMARY KEY (id),
  CONSTRAINT session_user_id_fkey FOREIGN KEY (user_id) REFERENCES user_account(id)
);
CREATE INDEX session_not_ended ON public.session USING btree (user_id, id) WHERE (ended_at IS NULL);
CREATE INDEX session_user_id ON public.session USING btree (user_id);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.session FOR EACH ROW WHEN ((((new.id IS DISTINCT FROM old.id) OR (new.user_id IS DISTINCT FROM old.user_id)) OR (new.expires_at > old.expires_at) OR ((old.ended_at IS NOT NULL) AND (new.ended_at IS NULL)))) EXECUTE FUNCTION refuse_change('a session that has ended stays ended');
ALTER TABLE session ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON session TO keyledger_api;

CREATE TABLE signing_key (
  id text NOT NULL,
  private_key bytea NOT NULL,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT signing_key_pkey PRIMARY KEY (id)
);
GRANT INSERT, SELECT ON signing_key TO keyledger_api;

CREATE TABLE token_signing_key (
  id text NOT NULL,
  private_key bytea NOT NULL,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT token_signing_key_pkey PRIMARY KEY (id)
);
GRANT DELETE, INSERT, SELECT ON token_signing_key TO keyledger_api;

CREATE TABLE user_account (
  id uuid NOT NULL,
  email text NOT NULL,
  name text NOT NULL,
  password_hash text NOT NULL,
  personal_organization_id uuid NOT NULL,
  created_at timestamp with time zone NOT NULL,
  operator_since timestamp with time zone,
  CONSTRAINT user_account_email_key UNIQUE (email),
  CONSTRAINT user_account_personal_organization_id_fkey FOREIGN KEY (personal_organization_id) REFERENCES organization(id),
  CONSTRAINT user_account_pkey PRIMARY KEY (id)
);
CREATE INDEX user_account_operator ON public.user_account USING btree (id) WHERE (operator_since IS NOT NULL);
CREATE TRIGGER never_back_update BEFORE UPDATE ON public.user_account FOR EACH ROW WHEN ((((new.id IS DISTINCT FROM old.id) OR (new.personal_organization_id IS DISTINCT FROM old.personal_organization_id)) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION refuse_change('an account stays the same one');
ALTER TABLE user_account ENABLE ALWAYS TRIGGER never_back_update;
GRANT INSERT, SELECT, UPDATE ON user_account TO keyledger_api;

CREATE OR REPLACE FUNCTION public.append_audit_heads(epoch_number integer, old_size bigint, new_frontier bytea, organizations uuid[], sizes bigint[], roots bytea[], node_levels smallint[], node_indexes bigint[], node_hashes bytea[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  DECLARE
    new_size bigint := old_size + cardinality(organizations);
  BEGIN
    IF (SELECT count(*) <> count(DISTINCT organization) FROM unnest(organizations) AS organization) OR EXISTS (
      SELECT FROM unnest(organizations, sizes, roots) AS h (organization, size, root)
      LEFT JOIN audit_log l ON l.organization_id = h.organization
      LEFT JOIN LATERAL (
        SELECT e.size FROM audit_head e WHERE e.organization_id = h.organization AND e.epoch = epoch_number
        ORDER BY e.index DESC LIMIT 1
      ) AS earlier ON true
      WHERE (h.size > coalesce(earlier.size, 0) AND h.size <= l.size AND root IS NOT NULL) IS NOT TRUE
    ) OR EXISTS (
      -- A tree node is complete with one of the new entries.
      SELECT FROM unnest(node_levels, node_indexes) AS n (level, index)
      WHERE ((index + 1)::numeric * 256::numeric ^ level BETWEEN old_size + 1 AND new_size AND level >= 1) IS NOT TRUE
    ) THEN
      RAISE EXCEPTION 'these heads do not continue their audit logs' USING ERRCODE = 'insufficient_privilege';
    END IF;

    UPDATE audit_heads SET size = new_size, frontier = new_frontier
    WHERE epoch = epoch_number AND size = old_size AND new_size > old_size
      AND length(new_frontier) = 32 * bit_count(new_size::bit(64));
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the log of heads has another size' USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO audit_head
    SELECT epoch_number, old_size + place - 1, organization, size, root
    FROM unnest(organizations, sizes, roots) WITH ORDINALITY AS h (organization, size, root, place);
    INSERT INTO audit_head_node
    SELECT epoch_number, level, index, hash FROM unnest(node_levels, node_indexes, node_hashes) AS n (level, index, hash);
  END $function$;
REVOKE ALL ON FUNCTION append_audit_heads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_audit_heads TO keyledger_api;

CREATE OR REPLACE FUNCTION public.append_management_events(organizations uuid[], leaf_indexes bigint[], ids uuid[], types text[], times timestamp with time zone[], api_keys uuid[], projects uuid[], actors text[], subjects text[], ips inet[], paths text[], row_terms text[], lengths integer[], entries bytea)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  BEGIN
    IF EXISTS (
      SELECT FROM unnest(organizations, leaf_indexes) AS t (organization, leaf_index)
      LEFT JOIN audit_log l ON l.organization_id = t.organization
      WHERE (t.leaf_index >= l.grown_from AND t.leaf_index < l.size) IS NOT TRUE
    ) THEN
      RAISE EXCEPTION 'no audit log has these leaves' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_management_event
      (organization_id, leaf_index, id, type, time, api_key_id, project_id, actor_id, subject, ip, path, terms, entry)
    SELECT organization, leaf_index, id, type, time, api_key, project, actor, subject, ip, path, terms::integer[],
           substring(entries FROM (upto - length + 1)::int FOR length)
    FROM (
      SELECT *, sum(length) OVER (ORDER BY place) AS upto
      FROM unnest(organizations, leaf_indexes, ids, types, times, api_keys, projects, actors, subjects, ips, paths,
                  row_terms, lengths) WITH ORDINALITY
        AS t (organization, leaf_index, id, type, time, api_key, project, actor, subject, ip, path, terms, length, place)
    ) AS placed;
  END $function$;
REVOKE ALL ON FUNCTION append_management_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_management_events TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.append_to_audit_logs(logs uuid[], sizes bigint[], new_sizes bigint[], frontiers bytea[], kept boolean[], latests timestamp with time zone[], latenesses bigint[], segment_firsts bigint[], segment_oldest timestamp with time zone[], segment_newest timestamp with time zone[], segment_terms text[], segment_terms_of text[], segment_lengths integer[], bundle_logs uuid[], bundle_indexes bigint[], roots bytea[], bundle_oldest timestamp with time zone[], bundle_newest timestamp with time zone[], bundle_latest timestamp with time zone[], bundle_terms text[], bundle_lengths integer[], node_logs uuid[], node_levels smallint[], node_indexes bigint[], node_hashes bytea[], bodies bytea)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  DECLARE
    grown integer;
  BEGIN
    -- Every log grows from its present size, by exactly the entries of its bundles and its segment.
    IF EXISTS (
      SELECT FROM unnest(logs, sizes, new_sizes, kept, segment_firsts)
        AS t (log, size, new_size, keeps, first)
      LEFT JOIN (
        SELECT log, count(*) AS bundles, min(index) AS lowest, max(index) AS highest
        FROM unnest(bundle_logs, bundle_indexes) AS b (log, index) GROUP BY log
      ) AS b USING (log)
      WHERE num_nulls(log, size, new_size, keeps) > 0 OR new_size <= size
        OR coalesce(bundles, 0) <> new_size / 256 - size / 256
        OR lowest <> size / 256 OR highest <> new_size / 256 - 1
        OR (keeps AND (bundles > 0 OR first IS DISTINCT FROM size))
        OR (NOT keeps AND first IS DISTINCT FROM CASE WHEN new_size % 256 > 0 THEN new_size - new_size % 256 END)
    ) OR EXISTS (SELECT FROM unnest(bundle_logs) AS log WHERE log <> ALL (logs))
      -- A tree node is complete with one of the new entries.
      OR EXISTS (
        SELECT FROM unnest(node_logs, node_levels, node_indexes) AS n (log, level, index)
        LEFT JOIN unnest(logs, sizes, new_sizes) AS t (log, size, new_size) USING (log)
        WHERE ((index + 1)::numeric * 256::numeric ^ level BETWEEN size + 1 AND new_size AND level >= 2) IS NOT TRUE
      ) THEN
      RAISE EXCEPTION 'these entries do not continue their audit logs' USING ERRCODE = 'insufficient_privilege';
    END IF;

    UPDATE audit_log l SET size = t.new_size, grown_from = t.size, frontier = t.frontier, latest = t.latest, lateness_ms = t.lateness,
      segments = CASE WHEN t.keeps THEN l.segments ELSE 0 END + (t.first IS NOT NULL)::int
    FROM unnest(logs, sizes, new_sizes, frontiers, kept, segment_firsts, latests, latenesses)
      AS t (log, size, new_size, frontier, keeps, first, latest, lateness)
    WHERE l.organization_id = t.log AND l.size = t.size AND length(t.frontier) = 32 * bit_count(t.new_size::bit(64));
    GET DIAGNOSTICS grown = ROW_COUNT;
    IF grown <> cardinality(logs) THEN
      RAISE EXCEPTION 'an audit log has another size' USING ERRCODE = 'serialization_failure';
    END IF;

    DELETE FROM audit_segment s USING unnest(logs, kept) AS t (log, keeps)
    WHERE s.organization_id = t.log AND NOT t.keeps;

    INSERT INTO audit_segment
    SELECT log, first, new_size - first, oldest, newest, terms::integer[], terms_of::smallint[],
           substring(bodies FROM (upto - length + 1)::int FOR length)
    FROM (
      SELECT *, sum(length) OVER (ORDER BY place) AS upto
      FROM unnest(logs, new_sizes, segment_firsts, segment_oldest, segment_newest, segment_terms, segment_terms_of,
                  segment_lengths) WITH ORDINALITY
        AS t (log, new_size, first, oldest, newest, terms, terms_of, length, place)
    ) AS placed WHERE first IS NOT NULL;

    INSERT INTO audit_bundle
    SELECT log, index, root, oldest, newest, latest, audit_time()
    FROM unnest(bundle_logs, bundle_indexes, roots, bundle_oldest, bundle_newest, bundle_latest)
      AS t (log, index, root, oldest, newest, latest);

    INSERT INTO audit_body
    SELECT log, index, audit_time(), terms::integer[], substring(bodies FROM (upto - length + 1)::int FOR length)
    FROM (
      SELECT *, coalesce((SELECT sum(l) FROM unnest(segment_lengths) AS l), 0) + sum(length) OVER (ORDER BY place) AS upto
      FROM unnest(bundle_logs, bundle_indexes, bundle_terms, bundle_lengths) WITH ORDINALITY
        AS t (log, index, terms, length, place)
    ) AS placed;

    INSERT INTO audit_tree_node SELECT * FROM unnest(node_logs, node_levels, node_indexes, node_hashes);
  END $function$;
REVOKE ALL ON FUNCTION append_to_audit_logs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_to_audit_logs TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.audit_entries_are_kept()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  DECLARE
    leaf bigint;
  BEGIN
    IF TG_OP = 'DELETE' THEN
      IF TG_ARGV[0] = 'bundle' THEN leaf := OLD.index * 256; ELSE leaf := OLD.leaf_index; END IF;
      IF EXISTS (SELECT FROM public.audit_log l WHERE l.organization_id = OLD.organization_id AND leaf < l.minimum_index) THEN
        RETURN OLD;
      END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END $function$;

CREATE OR REPLACE FUNCTION public.audit_log_expired_below(log uuid)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
  DECLARE
    kept_from timestamptz;
    first bigint;
    last bigint;
  BEGIN
    SELECT l.minimum_index / 256, least(l.size / 256, l.minimum_index / 256 + 1000000),
           CASE WHEN own.held_since IS NULL
                  AND coalesce(own.changed_at < audit_time() - interval '24 hours', true)
                  AND (own.days IS NOT NULL OR deployment.changed_at < audit_time() - interval '24 hours')
             THEN audit_time() - coalesce(own.days, deployment.days) * interval '24 hours' END
    INTO first, last, kept_from
    FROM audit_log l
    LEFT JOIN audit_retention own ON own.organization_id = l.organization_id
    LEFT JOIN audit_retention deployment ON deployment.organization_id = '00000000-0000-0000-0000-000000000000'
    WHERE l.organization_id = log;
    IF kept_from IS NULL THEN
      RETURN first * 256;
    END IF;
    RETURN 256 * coalesce((
      SELECT b.index FROM audit_bundle b
      WHERE b.organization_id = log AND b.index >= first AND b.index < last
        AND (b.latest >= kept_from OR b.sealed_at >= kept_from)
      ORDER BY b.index LIMIT 1
    ), last);
  END $function$;
REVOKE ALL ON FUNCTION audit_log_expired_below FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.audit_log_is_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END $function$;

CREATE OR REPLACE FUNCTION public.audit_time()
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
AS $function$SELECT now()$function$;

CREATE OR REPLACE FUNCTION public.count_created_api_keys()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  BEGIN
    INSERT INTO api_key_count AS c (organization_id, accountable_user_id, project_id, keys)
    SELECT organization_id, accountable_user_id, project_id, count(*) FROM created WHERE revoked_at IS NULL
    GROUP BY GROUPING SETS ((organization_id), (organization_id, accountable_user_id, project_id))
    -- The row of the organization first, so that no two transactions wait for each other.
    ORDER BY organization_id, accountable_user_id NULLS FIRST, project_id
    ON CONFLICT (organization_id, accountable_user_id, project_id) DO UPDATE SET keys = c.keys + excluded.keys;
    RETURN NULL;
  END $function$;

CREATE OR REPLACE FUNCTION public.count_revoked_api_key()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  BEGIN
    -- A mass revocation has taken its keys off the counts already.
    IF EXISTS (SELECT FROM pending_revocations(OLD.organization_id, OLD.project_id, OLD.accountable_user_id, OLD.number))
    THEN RETURN NULL; END IF;
    UPDATE api_key_count SET keys = greatest(keys - 1, 0)
    WHERE organization_id = OLD.organization_id AND accountable_user_id IS NULL AND project_id IS NULL;
    UPDATE api_key_count SET keys = greatest(keys - 1, 0)
    WHERE organization_id = OLD.organization_id AND accountable_user_id = OLD.accountable_user_id
      AND project_id IS NOT DISTINCT FROM OLD.project_id;
    RETURN NULL;
  END $function$;

CREATE OR REPLACE FUNCTION public.counts_shrink(before bigint[], after bigint[])
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
  BEGIN
    FOR place IN 1..coalesce(cardinality(before), 0) LOOP
      IF before[place] > coalesce(after[place], 0) THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
  END $function$;

CREATE OR REPLACE FUNCTION public.disable_api_keys(organization uuid, keys uuid[], at timestamp with time zone)
 RETURNS TABLE(id uuid, project_id uuid, name text, seq bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  #variable_conflict use_column
  DECLARE
    active uuid[];
    state authz_state;
  BEGIN
    -- In the order of bulk changes and mass revocations.
    active := ARRAY(
      SELECT k.id FROM api_key k
      WHERE k.organization_id = organization AND k.id = ANY (keys) AND k.disabled_at IS NULL AND k.deleted_at IS NULL
        AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > at)
        AND NOT EXISTS (SELECT FROM pending_revocations(k.organization_id, k.project_id, k.accountable_user_id, k.number))
      ORDER BY k.number FOR UPDATE OF k
    );
    IF cardinality(active) = 0 THEN
      RETURN;
    END IF;
    UPDATE authz_state s
    SET seq = s.seq + 1, tag = ('x' || substr(md5(gen_random_uuid()::text), 1, 16))::bit(64)::bigint
    WHERE s.shard = get_byte(uuid_send(organization), 15) & 15 RETURNING s.* INTO state;
    INSERT INTO authz_change (shard, seq, tag, kind, id)
    VALUES (state.shard, state.seq, state.tag, 'organization', organization);
    RETURN QUERY UPDATE api_key k SET disabled_at = at, updated_at = at, version = k.version + 1
      WHERE k.id = ANY (active) RETURNING k.id, k.project_id, k.name, state.seq;
  END $function$;
REVOKE ALL ON FUNCTION disable_api_keys FROM PUBLIC;
GRANT EXECUTE ON FUNCTION disable_api_keys TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.drop_pruned_audit_partition()
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
  DECLARE
    -- A transaction that began before midnight may still write into the earlier month.
    month text := to_char((audit_time() - interval '24 hours') AT TIME ZONE 'UTC', 'YYYY_MM');
    name text;
    is_needed boolean;
  BEGIN
    SELECT c.relname INTO name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_body'::regclass AND c.relname < format('audit_body_%s', month)
    ORDER BY c.relname LIMIT 1;
    IF name IS NULL THEN
      RETURN NULL;
    END IF;
    -- One probe of the primary key for each log.
    EXECUTE format(
      'SELECT EXISTS (
         SELECT FROM audit_log l CROSS JOIN LATERAL (
           SELECT FROM %I b WHERE b.organization_id = l.organization_id AND b.index >= l.minimum_index / 256 LIMIT 1
         ) AS kept
       )', name) INTO is_needed;
    IF is_needed THEN
      RETURN NULL;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
    RETURN name;
  EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
  END $function$;
REVOKE ALL ON FUNCTION drop_pruned_audit_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_pruned_audit_partition TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.ensure_audit_partitions(months integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
  DECLARE
    first timestamptz;
    name text;
    made integer := 0;
  BEGIN
    IF (months BETWEEN 0 AND 24) IS NOT TRUE THEN
      RAISE EXCEPTION 'at most 24 months ahead' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR i IN 0..months LOOP
      first := (date_trunc('month', audit_time() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
      name := format('audit_body_%s', to_char(first AT TIME ZONE 'UTC', 'YYYY_MM'));
      CONTINUE WHEN to_regclass(name) IS NOT NULL;
      BEGIN
        EXECUTE format('CREATE TABLE %I PARTITION OF audit_body FOR VALUES FROM (%L) TO (%L)', name, first,
                       (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
        PERFORM protect_audit_partition(name::regclass);
        made := made + 1;
      EXCEPTION WHEN check_violation THEN
        -- The default partition has bundles of this month, and keeps it.
        NULL;
      END;
    END LOOP;
    RETURN made;
  END $function$;
REVOKE ALL ON FUNCTION ensure_audit_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_audit_partitions TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.erase_pruned_audit_entries(log uuid, bundles integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  DECLARE
    first bigint;
    minimum bigint;
    upto bigint;
  BEGIN
    IF (bundles BETWEEN 1 AND 10000) IS NOT TRUE THEN
      RAISE EXCEPTION 'at most 10000 bundles' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT erased_index, minimum_index INTO first, minimum FROM audit_log WHERE organization_id = log;
    upto := least(minimum, first + bundles * 256);
    DELETE FROM audit_management_event
      WHERE organization_id = log AND leaf_index >= first AND leaf_index < upto AND type <> 'audit_log.epoch_started';
    DELETE FROM audit_body WHERE organization_id = log AND index >= first / 256 AND index < upto / 256;
    UPDATE audit_log SET erased_index = greatest(erased_index, upto) WHERE organization_id = log;
    RETURN upto < minimum;
  END $function$;
REVOKE ALL ON FUNCTION erase_pruned_audit_entries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_pruned_audit_entries TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.keep_audit_tile(log uuid, bundle bigint, leaf_hashes bytea)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  DECLARE
    nodes bytea[];
  BEGIN
    IF length(leaf_hashes) = 8192 THEN
      nodes := ARRAY(SELECT substring(leaf_hashes FROM 32 * n + 1 FOR 32) FROM generate_series(0, 255) AS n ORDER BY n);
      WHILE cardinality(nodes) > 1 LOOP
        nodes := ARRAY(SELECT sha256('\x01'::bytea || nodes[2 * n - 1] || nodes[2 * n])
                       FROM generate_series(1, cardinality(nodes) / 2) AS n ORDER BY n);
      END LOOP;
    END IF;
    IF NOT EXISTS (SELECT FROM audit_bundle b WHERE b.organization_id = log AND b.index = bundle AND b.root = nodes[1]) THEN
      RAISE EXCEPTION 'these hashes are not those of the bundle' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_kept_tile VALUES (log, bundle, leaf_hashes) ON CONFLICT DO NOTHING;
  END $function$;
REVOKE ALL ON FUNCTION keep_audit_tile FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_audit_tile TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.lock_audit_logs(organizations uuid[])
 RETURNS SETOF audit_log
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  BEGIN
    PERFORM FROM audit_log l WHERE l.organization_id = ANY(organizations) ORDER BY l.organization_id FOR UPDATE;
    IF (SELECT count(*) FROM audit_log l WHERE l.organization_id = ANY(organizations)) < cardinality(organizations) THEN
      INSERT INTO audit_log (organization_id, size)
        SELECT id, 0 FROM unnest(organizations) AS id ORDER BY id ON CONFLICT DO NOTHING;
    END IF;
    RETURN QUERY SELECT * FROM audit_log l WHERE l.organization_id = ANY(organizations)
      ORDER BY l.organization_id FOR UPDATE;
  END $function$;
REVOKE ALL ON FUNCTION lock_audit_logs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_audit_logs TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.pending_revocations(organization uuid, project uuid, accountable_user uuid, key_number bigint)
 RETURNS SETOF api_key_revocation
 LANGUAGE sql
 STABLE
AS $function$
      SELECT r.* FROM api_key_revocation r
      WHERE r.subject IN (project, accountable_user) AND r.organization_id = organization AND r.last_number >= key_number
    $function$;

CREATE OR REPLACE FUNCTION public.protect_audit_partition(partition regclass)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
  BEGIN
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_truncate', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', partition);
  END $function$;
REVOKE ALL ON FUNCTION protect_audit_partition FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.prunable_audit_logs()
 RETURNS TABLE(organization_id uuid, minimum_index bigint, expired_below bigint)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT l.organization_id, l.minimum_index, expired.below
    FROM audit_log l, audit_log_expired_below(l.organization_id) AS expired (below)
    WHERE expired.below > l.minimum_index
      AND coalesce(l.pruned_at <= audit_time() - interval '24 hours', true)
    ORDER BY l.organization_id
  $function$;
REVOKE ALL ON FUNCTION prunable_audit_logs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prunable_audit_logs TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.prune_audit_log(log uuid, below bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
  DECLARE
    minimum bigint;
  BEGIN
    PERFORM FROM organization o WHERE o.id = log FOR SHARE;
    SELECT l.minimum_index INTO minimum FROM audit_log l WHERE l.organization_id = log FOR UPDATE;
    IF (below % 256 = 0 AND below > minimum AND below <= audit_log_expired_below(log)) IS NOT TRUE THEN
      RAISE EXCEPTION 'these entries have not expired' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
      SELECT FROM (SELECT * FROM audit_signed_bundle UNION SELECT * FROM audit_anchored_bundle) AS needed
      WHERE needed.organization_id = log AND needed.index >= minimum / 256 AND needed.index < below / 256
        AND NOT EXISTS (SELECT FROM audit_kept_tile t WHERE t.organization_id = log AND t.index = needed.index)
    ) THEN
      RAISE EXCEPTION 'the leaf hashes of a signed tree would be lost' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE audit_log SET minimum_index = below, pruned_at = audit_time() WHERE organization_id = log;
  END $function$;
REVOKE ALL ON FUNCTION prune_audit_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prune_audit_log TO keyledger_worker;

CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  BEGIN
    RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'insufficient_privilege';
  END $function$;

CREATE OR REPLACE FUNCTION public.refuse_unfinished_revocation()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  BEGIN
    IF EXISTS (
      SELECT FROM api_key WHERE OLD.kind = 'project' AND project_id = OLD.subject AND number <= OLD.last_number
        AND revoked_at IS NULL
    ) OR EXISTS (
      SELECT FROM api_key WHERE OLD.kind = 'member' AND accountable_user_id = OLD.subject
        AND organization_id = OLD.organization_id AND number <= OLD.last_number AND revoked_at IS NULL
    ) THEN
      RAISE EXCEPTION 'api_key_revocation: it goes with the last of its keys' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
  END $function$;

CREATE OR REPLACE FUNCTION public.stamp_audit_retention()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  BEGIN
    NEW.changed_at := public.audit_time();
    RETURN NEW;
  END $function$;
