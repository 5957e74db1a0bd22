//! Operations that have a name: tools, agents, workflows, data sources, and methods of the Model Context
//! Protocol. Each kind has a metric with attributes of its own.

use super::attribute::Attribute;
use super::instruments::{Accumulator, Instrument, SECONDS, seconds};
use super::measured::MeasuredSpan;
use super::series::SeriesTable;

/// A metric of operations that have a name, with attributes of its own.
pub(super) struct NamedInstrument {
    pub(super) instrument: Instrument,
    /// Whether an item is one of its operations.
    pub(super) takes: fn(&MeasuredSpan<'_, '_>) -> bool,
    /// What its series are made of, beside the error's type.
    pub(super) dimensions: &'static [Attribute],
}

/// Metrics of operations that have a name, by it.
pub(super) static NAMED: [NamedInstrument; 6] = [
    NamedInstrument {
        instrument: Instrument {
            by: Some("gen_ai.tool.name"),
            ..seconds("gen_ai.execute_tool.duration", "Duration of tool executions.", SECONDS)
        },
        takes: |measured| {
            // The protocol's own span of the call is another one, below or beside the agent's.
            let is_protocol =
                measured.is_mcp() && (measured.is_kind("server") || measured.is_kind("client"));
            measured.is_operation("execute_tool") && !is_protocol
        },
        dimensions: &[Attribute::ToolName, Attribute::ToolType, Attribute::AgentName],
    },
    NamedInstrument {
        instrument: Instrument {
            by: Some("gen_ai.agent.name"),
            ..seconds(
                "gen_ai.invoke_agent.duration",
                "Duration of agent invocations.",
                AGENT_SECONDS,
            )
        },
        takes: |measured| measured.is_operation("invoke_agent"),
        dimensions: &[Attribute::AgentName, Attribute::RequestModel],
    },
    NamedInstrument {
        instrument: Instrument {
            by: Some("gen_ai.workflow.name"),
            ..seconds("gen_ai.invoke_workflow.duration", "Duration of workflows.", WORKFLOW_SECONDS)
        },
        takes: |measured| measured.is_operation("invoke_workflow"),
        dimensions: &[Attribute::WorkflowName],
    },
    NamedInstrument {
        instrument: Instrument {
            by: Some("gen_ai.data_source.id"),
            ..seconds("gen_ai.retrieval.duration", "Duration of retrievals.", SECONDS)
        },
        takes: |measured| measured.is_operation("retrieval"),
        dimensions: &[
            Attribute::DataSource,
            Attribute::Provider,
            Attribute::RequestModel,
            Attribute::Address,
            Attribute::Port,
        ],
    },
    NamedInstrument {
        instrument: Instrument {
            by: Some("mcp.method.name"),
            ..seconds(
                "mcp.client.operation.duration",
                "Duration of requests and notifications of the Model Context Protocol, as their \
                 sender saw it.",
                PROTOCOL_SECONDS,
            )
        },
        takes: |measured| measured.is_mcp() && !measured.is_kind("server"),
        dimensions: &[
            Attribute::McpMethod,
            Attribute::ToolName,
            Attribute::PromptName,
            Attribute::Operation,
            Attribute::McpVersion,
            Attribute::RpcStatus,
            Attribute::Transport,
            Attribute::ProtocolName,
            Attribute::ProtocolVersion,
            Attribute::JsonRpcVersion,
            Attribute::Address,
            Attribute::Port,
        ],
    },
    NamedInstrument {
        instrument: Instrument {
            by: Some("mcp.method.name"),
            ..seconds(
                "mcp.server.operation.duration",
                "Duration of requests and notifications of the Model Context Protocol, as their \
                 receiver saw it.",
                PROTOCOL_SECONDS,
            )
        },
        takes: |measured| measured.is_mcp() && measured.is_kind("server"),
        dimensions: &[
            Attribute::McpMethod,
            Attribute::ToolName,
            Attribute::PromptName,
            Attribute::Operation,
            Attribute::McpVersion,
            Attribute::RpcStatus,
            Attribute::Transport,
            Attribute::ProtocolName,
            Attribute::ProtocolVersion,
            Attribute::JsonRpcVersion,
        ],
    },
];

/// The bounds that the conventions advise for invocations of agents.
const AGENT_SECONDS: &[f64] =
    &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// The bounds that the conventions advise for workflows.
const WORKFLOW_SECONDS: &[f64] =
    &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
/// The bounds that the conventions advise for the Model Context Protocol.
const PROTOCOL_SECONDS: &[f64] =
    &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// The series of these metrics, of one group.
#[derive(Debug)]
pub(super) struct NamedSeries {
    /// In the order of [`NAMED`].
    pub(super) tables: [SeriesTable<Accumulator>; NAMED.len()],
}

impl Default for NamedSeries {
    fn default() -> Self {
        Self { tables: NAMED.each_ref().map(|_| SeriesTable::default()) }
    }
}
