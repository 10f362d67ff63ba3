# Broken engines, for the suite of power cuts: an image for each EP_DEFECT(NAME) in the hot-swap engine, named after it
# in small letters and dashes: build/sim/broken/<name>.wasm, and its boot choice in build/sim/broken/boot-choice. Only the
# files that know the defect are compiled again; they outrank the library's.
set(use "EP_DEFECT\\(([A-Z_]+)\\)")
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/firmware/runtime/*/*.c)
foreach(source ${sources})
  # a new defect is found when its file changes
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(STRINGS ${source} lines REGEX ${use})
  string(REGEX MATCHALL ${use} found "${lines}")
  list(REMOVE_DUPLICATES found)
  list(TRANSFORM found REPLACE ${use} "\\1")
  foreach(defect ${found})
    list(APPEND ${defect}_sources ${source})
    if(source MATCHES "/hotswap/")
      list(APPEND defects ${defect})
    endif()
  endforeach()
endforeach()
list(REMOVE_DUPLICATES defects)

add_library(ep_sim_objects OBJECT board.c engine.c ../process/process.c)
target_include_directories(ep_sim_objects PRIVATE ../process)
target_compile_options(ep_sim_objects PRIVATE -O2 -mmutable-globals)
target_link_libraries(ep_sim_objects PRIVATE ep_options ep_warnings)
add_dependencies(ep_sim_objects ep_generate)

foreach(defect ${defects})
  string(TOLOWER ${defect} name)
  string(REPLACE "_" "-" name ${name})
  set(broken broken-${name})
  add_library(${broken}-objects OBJECT ${${defect}_sources})
  target_compile_definitions(${broken}-objects PRIVATE EP_DEFECT_${defect})
  target_compile_options(${broken}-objects PRIVATE -Os)
  target_link_libraries(${broken}-objects PRIVATE ep_options ep_warnings)
  add_dependencies(${broken}-objects ep_generate)

  add_executable(${broken} $<TARGET_OBJECTS:ep_sim_objects> $<TARGET_OBJECTS:${broken}-objects>)
  target_link_libraries(${broken} PRIVATE ep_runtime)
  target_link_options(${broken} PRIVATE ${EP_SIM_LINK} -Wl,--strip-debug)
  set_target_properties(${broken} PROPERTIES
    SUFFIX .wasm LINKER_LANGUAGE C OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/broken)

  # the boot choice knows nothing but the hot-swap engine
  if("${${defect}_sources}" MATCHES "/hotswap/(boot|flash|marks|start)\\.c" AND NOT "${${defect}_sources}" MATCHES "/core/")
    ep_boot_choice_image(${broken}-choice $<TARGET_OBJECTS:${broken}-objects>)
    set_target_properties(${broken}-choice PROPERTIES
      OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/broken/boot-choice)
  endif()
endforeach()
