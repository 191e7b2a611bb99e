"""Pictures of what follows on what: a graph, its layout, its drawing as SVG, its text as Mermaid."""
